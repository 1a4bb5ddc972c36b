package child

import (
	"strings"
	"sync"
)

// maxTail bounds what is kept of a child's words, in bytes.
const maxTail = 4 << 10

// Tail keeps the end of what is written to it. Its zero value is ready.
type Tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - maxTail; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

// Last is what was written last.
func (t *Tail) Last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.buf) == 0 {
		return "it said nothing"
	}
	return strings.TrimSpace(string(t.buf))
}
