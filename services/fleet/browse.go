package fleet

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
)

// ErrNoBrowser is a machine, or a terminal, without a browser to open.
var ErrNoBrowser = errors.New("no browser to open here")

const browserVar = "BROWSER"

// browse opens a page in the user's browser, which stays when the fleet ends: nobody waits for it.
func browse(environ environment, url string) error {
	opener := "xdg-open"
	switch {
	case environ.get(browserVar) != "":
	case runtime.GOOS == "darwin":
		opener = "open"
	case environ.get("DISPLAY") == "" && environ.get("WAYLAND_DISPLAY") == "":
		// It would take over the terminal with a browser of text.
		return fmt.Errorf("%w: there is no display", ErrNoBrowser)
	}
	path, err := fromEnvironment(environ, browserVar, opener)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoBrowser, err)
	}
	cmd := exec.Command(path, url)
	cmd.Env = environ
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C is for the fleet
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w: %w", ErrNoBrowser, err)
	}
	return cmd.Process.Release()
}
