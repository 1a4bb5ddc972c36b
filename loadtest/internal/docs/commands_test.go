package docs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"
	"mvdan.cc/sh/v3/syntax"

	"github.com/smaran-v2/smaran/loadtest/internal/cli"
	"github.com/smaran-v2/smaran/services/fleet"
	stage "github.com/smaran-v2/smaran/services/stage/program"
)

var (
	// ours is how a command of this repository begins, alone on a line or after another one.
	ours   = regexp.MustCompile(`^(bin/fleet|bin/loadtest|bin/stage|make|scripts/[a-z0-9/-]+)( |$)`)
	prompt = regexp.MustCompile(`^[12]?\$ `)
	target = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)
	option = regexp.MustCompile(`^--[a-z-]+`)
)

// lines are what one may type: of code blocks, with what a backslash continues and without prompts, and of code within sentences.
func (p page) lines() []string {
	var list []string
	for _, b := range p.blocks() {
		for line := range strings.SplitSeq(strings.ReplaceAll(b.text, "\\\n", " "), "\n") {
			list = append(list, prompt.ReplaceAllString(strings.TrimSpace(line), ""))
		}
	}
	each(p, func(n *ast.CodeSpan) { list = append(list, p.words(n)) })
	return list
}

// commands are those of this repository, as words. It fails where the shell would.
func (p page) commands() ([][]string, error) {
	var list [][]string
	for _, line := range p.lines() {
		if !strings.Contains(line, "bin/") && !strings.Contains(line, "make") && !strings.Contains(line, "scripts/") {
			continue
		}
		file, err := syntax.NewParser().Parse(strings.NewReader(line), "")
		if err != nil {
			if ours.MatchString(line) {
				return nil, fmt.Errorf("%s: %q: %w", p.path, line, err)
			}
			continue // what a program said
		}
		syntax.Walk(file, func(n syntax.Node) bool {
			if call, ok := n.(*syntax.CallExpr); ok {
				if words := literal(call); len(words) > 0 && ours.MatchString(words[0]) {
					list = append(list, words)
				}
			}
			return true
		})
	}
	return list, nil
}

// literal is a command's words without their quotes.
func literal(call *syntax.CallExpr) []string {
	var words []string
	for _, w := range call.Args {
		var b bytes.Buffer
		for _, part := range w.Parts {
			switch part := part.(type) {
			case *syntax.Lit:
				b.WriteString(part.Value)
			case *syntax.SglQuoted:
				b.WriteString(part.Value)
			default:
				_ = syntax.NewPrinter().Print(&b, part)
			}
		}
		words = append(words, b.String())
	}
	return words
}

// wrongCommands says of each command that there is not, or that has an option that there is not, what is wrong.
func wrongCommands(ctx context.Context, dir string, p page) []string {
	list, err := p.commands()
	if err != nil {
		return []string{err.Error()}
	}
	var wrong []string
	for _, words := range list {
		if err := check(ctx, dir, words); err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %s: %v", p.path, strings.Join(words, " "), err))
		}
	}
	return wrong
}

// check asks the programs' own parsers: with --help they read the whole line, and do nothing.
func check(ctx context.Context, dir string, words []string) error {
	args := words[1:]
	switch program := words[0]; program {
	case "bin/fleet":
		return fleet.Run(ctx, help(args), nil, io.Discard, io.Discard)
	case "bin/stage":
		return stage.Run(ctx, help(args), nil, io.Discard, io.Discard)
	case "bin/loadtest":
		return cli.Run(ctx, help(args), io.Discard, io.Discard)
	case "make":
		return checkMake(dir, args)
	default:
		return checkScript(filepath.Join(dir, program), args)
	}
}

func help(args []string) []string { return append(append([]string{}, args...), "--help") }

func checkMake(dir string, args []string) error {
	makefile, err := os.ReadFile(filepath.Join(dir, "Makefile"))
	if err != nil {
		return err
	}
	targets := map[string]bool{}
	for _, m := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	for _, arg := range args {
		if !strings.Contains(arg, "=") && !targets[arg] {
			return fmt.Errorf("the Makefile has no target %s", arg)
		}
	}
	return nil
}

func checkScript(path string, args []string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is no program", path)
	}
	script, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for _, arg := range args {
		if name := option.FindString(arg); name != "" && !bytes.Contains(script, []byte(name)) {
			return fmt.Errorf("the script has no option %s", name)
		}
	}
	return nil
}

func TestEveryCommandIsThere(t *testing.T) {
	programs := map[string]int{}
	for _, p := range pages(t) {
		for _, wrong := range wrongCommands(t.Context(), root, p) {
			t.Error(wrong)
		}
		list, err := p.commands()
		require.NoError(t, err)
		for _, words := range list {
			programs[words[0]]++
		}
	}
	for _, program := range []string{"bin/fleet", "bin/loadtest", "make", "scripts/kind-up"} {
		require.NotZero(t, programs[program], program)
	}
}

func TestACommandThatIsNotThereIsFound(t *testing.T) {
	for line, why := range map[string]string{
		"bin/fleet up --pods 3 --backend redis":                      "",
		"2$ bin/fleet ps | head -3":                                  "",
		"make demo ARGS='--seed 7'      # a comment":                 "",
		"SOAK=3m make soak":                                          "",
		"scripts/kind-up --istio-file deploy/istio/cni.yaml":         "",
		"bin/loadtest run --event 10s:scale=10 \\\n        --seed 7": "",
		"the fleet is down":                                          "",
		"bin/stage replay --speed 2 out/talk.jsonl.gz":               "",
		"bin/stage reply out/talk.jsonl.gz":                          "unexpected argument reply",
		"bin/fleet up --pots 3":                                      "unknown flag --pots",
		"bin/fleet scael 3":                                          "unexpected argument scael",
		"make build && bin/fleet scale ten":                          `got "ten"`,
		"bin/loadtest run --event 10s:scale=10 \\\n        --sead 7": "unknown flag --sead",
		"for i in 1 2; do bin/loadtest predikt; done":                "unexpected argument predikt",
		"make dem":                  "no target dem",
		"scripts/kind-upp":          "no such file",
		"scripts/walkthrough":       "is no program",
		"scripts/kind-up --no-such": "no option --no-such",
		"bin/fleet up 'a":           "without closing quote",
	} {
		wrong := wrongCommands(t.Context(), root, parse("docs/a.md", []byte("    "+line+"\n")))
		if why == "" {
			require.Empty(t, wrong, line)
			continue
		}
		require.Len(t, wrong, 1, line)
		require.Contains(t, wrong[0], why)
	}
	require.Len(t, wrongCommands(t.Context(), root, parse("docs/a.md", []byte("Say `make nothing`.\n"))), 1, "within a sentence")
}
