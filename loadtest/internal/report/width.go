package report

import (
	"io"
	"os"

	"golang.org/x/term"
)

// minWidth keeps tables readable in a terminal that says it has no columns.
const minWidth = 80

// Width is the number of columns of the terminal that w is, or DefaultWidth where it is none.
func Width(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return DefaultWidth
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return DefaultWidth
	}
	return max(width, minWidth)
}
