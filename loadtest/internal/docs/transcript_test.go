package docs

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// transcript is a code block with prompts.
type transcript struct {
	page string
	line int
	// up is the command that runs a fleet in the first shell, "" where none is needed.
	up    string
	steps []step
}

// step is a command and what it says.
type step struct {
	command string
	output  []string
}

func (p page) transcripts() ([]transcript, error) {
	var list []transcript
	for _, b := range p.blocks() {
		if !prompt.MatchString(b.text) {
			continue
		}
		t := transcript{page: p.path, line: b.line}
		text := strings.TrimRight(strings.ReplaceAll(b.text, "\\\n", ""), "\n")
		for line := range strings.SplitSeq(text, "\n") {
			mark := prompt.FindString(line)
			command := strings.TrimPrefix(line, mark)
			switch {
			case mark == "1$ " && (t.up != "" || len(t.steps) > 0):
				return nil, fmt.Errorf("%s:%d: the first shell has one command, the first", p.path, b.line)
			case mark == "1$ ":
				t.up = command
			case mark != "":
				t.steps = append(t.steps, step{command: command})
			case len(t.steps) == 0:
				return nil, fmt.Errorf("%s:%d: what the first shell says is not shown", p.path, b.line)
			default:
				last := &t.steps[len(t.steps)-1]
				last.output = append(last.output, line)
			}
		}
		if len(t.steps) == 0 {
			return nil, fmt.Errorf("%s:%d: nothing is asked", p.path, b.line)
		}
		list = append(list, t)
	}
	return list, nil
}

// says reports whether the program's output is the document's.
func says(want []string, got string) bool {
	var b strings.Builder
	b.WriteString(`\A`)
	for _, line := range want {
		if strings.TrimSpace(line) == "…" {
			b.WriteString(`(?:.*\n)*?`)
			continue
		}
		parts := strings.Split(strings.TrimRight(line, " "), "…")
		for i, part := range parts {
			parts[i] = regexp.QuoteMeta(part)
		}
		b.WriteString(strings.Join(parts, ".*") + ` *\n`)
	}
	b.WriteString(`\z`)
	got = strings.ReplaceAll(got, "\r\n", "\n")
	if got != "" && !strings.HasSuffix(got, "\n") {
		got += "\n"
	}
	return regexp.MustCompile(b.String()).MatchString(got)
}

func TestATranscriptIsReadAsItStands(t *testing.T) {
	text := "Text.\n\n    1$ bin/fleet up\n    2$ bin/fleet ps |\\\n        head\n    one\n      two\n    2$ true\n\n    no prompt\n\n    $ echo 3\n    3\n"
	got, err := parse("docs/a.md", []byte(text)).transcripts()
	require.NoError(t, err)
	require.Len(t, got, 1, "a blank line does not end a block")
	require.Equal(t, "bin/fleet up", got[0].up)
	require.Equal(t, []step{
		{"bin/fleet ps |    head", []string{"one", "  two"}},
		{"true", []string{"", "no prompt", ""}},
		{"echo 3", []string{"3"}},
	}, got[0].steps)
	for _, text := range []string{
		"    2$ true\n    1$ bin/fleet up\n",
		"    1$ bin/fleet up\n    1$ bin/fleet up\n",
		"    1$ bin/fleet up\n    3 pods\n",
		"    1$ bin/fleet up\n",
	} {
		_, err := parse("docs/a.md", []byte(text)).transcripts()
		require.Error(t, err, text)
	}
}

func TestOutputIsComparedToTheLetter(t *testing.T) {
	for _, c := range []struct {
		want string
		got  string
		same bool
	}{
		{"a\nb", "a\r\nb\n", true},
		{"a\nb", "a\nb", true},
		{"a …", "a 17 ms\n", true},
		{"a\n…\nd", "a\nb\nc\nd\n", true},
		{"a\n…\nd", "a\nd\n", true},
		{"…\nd", "a\nc\n", false},
		{"a …", "a 17\nb\n", false},
		{"a", "a\nb\n", false},
		{"a\nb", "a\n", false},
		{"a.c", "abc\n", false},
	} {
		require.Equal(t, c.same, says(strings.Split(c.want, "\n"), c.got), "%q, %q", c.want, c.got)
	}
	require.True(t, says(nil, ""))
	require.False(t, says(nil, "something\n"))
}
