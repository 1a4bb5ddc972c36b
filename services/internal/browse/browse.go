// Package browse opens a page in the browser of whoever started a program. It knows no page, and waits for none.
package browse

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
)

// ErrNone is a machine, or a terminal, without a browser to open. The error says what is missing.
var ErrNone = errors.New("no browser to open here")

// Variable names the program that opens a page, in place of the system's own.
const Variable = "BROWSER"

// Open opens url. The browser outlives this program, and gets no Ctrl-C that is meant for it. It fails with ErrNone.
func Open(environ []string, url string) error {
	argv, err := opener(runtime.GOOS, environ)
	if err != nil {
		return err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	cmd := exec.Command(path, append(argv[1:], url)...)
	cmd.Env = environ
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", ErrNone, err)
	}
	go func() { _ = cmd.Wait() }() // ends with the opener; nobody asks what came of it
	return nil
}

// opener is the command to which the page's URL is appended.
func opener(system string, environ []string) ([]string, error) {
	get := func(key string) string {
		for _, entry := range environ {
			if value, found := strings.CutPrefix(entry, key+"="); found {
				return value
			}
		}
		return ""
	}
	if own := get(Variable); own != "" {
		return []string{own}, nil
	}
	switch system {
	case "darwin":
		return []string{"open"}, nil
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}, nil
	}
	// The Linux of a Windows machine has no display of its own.
	if get("WSL_DISTRO_NAME") != "" {
		return []string{"wslview"}, nil
	}
	if get("DISPLAY") == "" && get("WAYLAND_DISPLAY") == "" {
		return nil, fmt.Errorf("%w: there is no display", ErrNone) // xdg-open would take over the terminal with a browser of text
	}
	return []string{"xdg-open"}, nil
}
