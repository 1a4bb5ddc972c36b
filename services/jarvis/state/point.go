package state

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// Checksum covers a conversation up to a turn. The zero value is that of a conversation that has not begun.
type Checksum uint64

// checksumDigits is the length of a checksum on the wire, in hex digits.
const checksumDigits = 16

// Next is the checksum after one more answer:
//
//	XXH64(checksum as 8 bytes big-endian || turn as 8 bytes big-endian || prompt)
func (c Checksum) Next(turn uint64, prompt string) Checksum {
	var head [16]byte
	binary.BigEndian.PutUint64(head[:8], uint64(c))
	binary.BigEndian.PutUint64(head[8:], turn)
	d := xxhash.New()
	_, _ = d.Write(head[:]) // a Digest never fails
	_, _ = d.WriteString(prompt)
	return Checksum(d.Sum64())
}

// Point is where a conversation stands. The zero value is before its first answer, and, coming from a caller, stands for
// not knowing.
type Point struct {
	Turn     uint64
	Checksum Checksum
}

// Text is the checksum as it travels: 16 hex digits, or nothing before the first answer.
func (p Point) Text() string {
	if p.Turn == 0 {
		return ""
	}
	return fmt.Sprintf("%0*x", checksumDigits, uint64(p.Checksum))
}

// ParsePoint reads what a caller says it saw last. Either both are given or neither.
func ParsePoint(turn uint64, checksum string) (Point, error) {
	if turn == 0 && checksum == "" {
		return Point{}, nil
	}
	value, err := strconv.ParseUint(checksum, 16, 64)
	if turn == 0 || len(checksum) != checksumDigits || err != nil {
		return Point{}, fmt.Errorf("last turn %d with checksum %q: expected a turn above 0 with %d hex digits, or neither",
			turn, checksum, checksumDigits)
	}
	return Point{Turn: turn, Checksum: Checksum(value)}, nil
}

// remembered is how many points of a conversation a copy keeps. A caller whose last answer is further back than that is
// taken for one of another copy.
const remembered = 64

// history holds the last points at which a caller may stand.
type history struct {
	points [remembered]Point
	added  int
}

func (h *history) add(p Point) {
	h.points[h.added%remembered] = p
	h.added++
}

func (h *history) contains(p Point) bool {
	for _, known := range h.points[:min(h.added, remembered)] {
		if known == p {
			return true
		}
	}
	return false
}
