// Package commandline is how our programs that have commands read them. Without arguments they show their help, and help is no error. It is apart
// from package run, as programs without commands do without kong.
package commandline

import (
	"fmt"
	"io"

	"github.com/alecthomas/kong"
)

// Parser reads one command line.
type Parser struct {
	*kong.Kong
	helped bool
}

// New makes the parser of a grammar, which is a pointer to a struct as kong has it.
func New(grammar any, stdout, stderr io.Writer, options ...kong.Option) (*Parser, error) {
	p := &Parser{}
	var err error
	p.Kong, err = kong.New(grammar, append(options, kong.Writers(stdout, stderr), kong.Exit(func(int) { p.helped = true }))...)
	if err != nil {
		return nil, fmt.Errorf("command line: %w", err)
	}
	return p, nil
}

// Parse returns the command that was given, or none where its help, or that of all, was asked for and is shown.
func (p *Parser) Parse(args []string) (*kong.Context, error) {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := p.Kong.Parse(args)
	if p.helped {
		return nil, nil // there is nothing to run, and nothing is wrong
	}
	return command, err
}
