package docs

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yuin/goldmark/ast"
)

// transcript is a code block with prompts, and those that go on with its fleet.
type transcript struct {
	page string
	line int
	// up is the command that runs a fleet in the first shell, "" where none is needed.
	up string
	// picture of the stage that up has, as a step has it.
	picture string
	steps   []step
}

// step is a command and what it says.
type step struct {
	command string
	output  []string
	// picture of the stage after it, as a path from the repository's root; "" where the document has none.
	picture string
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
		if len(t.steps) == 0 && t.up == "" {
			return nil, fmt.Errorf("%s:%d: nothing is asked", p.path, b.line)
		}
		if strings.HasPrefix(text, "2$ ") {
			if len(list) == 0 || list[len(list)-1].up == "" {
				return nil, fmt.Errorf("%s:%d: a second shell without a first one", p.path, b.line)
			}
			first := &list[len(list)-1]
			first.steps = append(first.steps, t.steps...)
		} else {
			list = append(list, t)
		}
		last := &list[len(list)-1]
		if n := len(last.steps); n > 0 {
			last.steps[n-1].picture = p.pictureAfter(b)
		} else {
			last.picture = p.pictureAfter(b)
		}
	}
	for _, t := range list {
		if len(t.steps) == 0 {
			return nil, fmt.Errorf("%s:%d: nothing is asked", t.page, t.line)
		}
	}
	return list, nil
}

// pictureAfter is the picture of a stage that stands between a block and the next one, as a path from the repository's root.
func (p page) pictureAfter(b block) (picture string) {
	const prefix = "img/stage-"
	for n := b.node.NextSibling(); n != nil; n = n.NextSibling() {
		switch n.Kind() {
		case ast.KindCodeBlock, ast.KindFencedCodeBlock:
			return picture
		}
		each(page{tree: n, source: p.source}, func(i *ast.Image) {
			if strings.HasPrefix(string(i.Destination), prefix) {
				picture = path.Join(path.Dir(p.path), string(i.Destination))
			}
		})
	}
	return picture
}

// pictured says whether there are pictures of it.
func (t transcript) pictured() bool {
	return t.picture != "" || slices.ContainsFunc(t.steps, func(s step) bool { return s.picture != "" })
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
		{command: "bin/fleet ps |    head", output: []string{"one", "  two"}},
		{command: "true", output: []string{"", "no prompt", ""}},
		{command: "echo 3", output: []string{"3"}},
	}, got[0].steps)

	text = "    1$ make stage\n\nThen:\n\n    2$ true\n\n![a](img/stage-a.png)\n\nor\n\n    2$ false\n\n    $ echo\n\n![b](img/b.png)\n"
	got, err = parse("docs/a.md", []byte(strings.ReplaceAll(text, "or\n\n    2$ false\n", "or\n\n    2$ false\n\nalone:\n"))).transcripts()
	require.NoError(t, err)
	require.Len(t, got, 2, "what the second shell does goes on with its fleet")
	require.Equal(t, "make stage", got[0].up)
	require.Equal(t, []step{{command: "true", picture: "docs/img/stage-a.png"}, {command: "false"}}, got[0].steps)
	require.Equal(t, []step{{command: "echo"}}, got[1].steps)
	for _, text := range []string{
		"    2$ true\n    1$ bin/fleet up\n",
		"    2$ true\n",
		"    $ true\n\nand\n\n    2$ true\n",
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
