package audio

import "math/bits"

// Constants of ITU-T G.711 (11/88), table 2a/2b, on 16-bit samples: G.711 works on 14 bits, so its bias 33 and clip 8158
// stand here times four.
const (
	ulawBias = 33 << 2
	ulawClip = 8158 << 2
)

// EncodePCMU compresses a 16-bit linear sample to mu-law. The sign, a 3-bit segment and a 4-bit step within it are packed
// from the top, and all bits inverted, as G.711 sends them.
func EncodePCMU(sample int16) byte {
	sign, magnitude := byte(0), int(sample)
	if magnitude < 0 {
		sign, magnitude = 0x80, -magnitude
	}
	magnitude = min(magnitude, ulawClip) + ulawBias
	segment := bits.Len(uint(magnitude)) - 8 // the biased magnitude has 8 to 15 bits
	step := magnitude >> (segment + 3) & 0x0f
	return ^(sign | byte(segment)<<4 | byte(step))
}

// DecodePCMU expands a mu-law byte to the middle of its interval, as a 16-bit linear sample.
func DecodePCMU(b byte) int16 {
	b = ^b
	magnitude := (int(b&0x0f)<<3+ulawBias)<<(b>>4&0x07) - ulawBias
	if b&0x80 != 0 {
		return int16(-magnitude)
	}
	return int16(magnitude)
}

// Energy is the mean square of a PCMU frame's linear samples; 0 for an empty frame. Digital silence is 0, the loudest
// frame about 1.03e9.
func Energy(pcmu []byte) float64 {
	if len(pcmu) == 0 {
		return 0
	}
	var sum uint64
	for _, b := range pcmu {
		sum += uint64(squares[b])
	}
	return float64(sum) / float64(len(pcmu))
}

// squares holds the square of each mu-law byte's sample, because Energy runs on every packet that arrives.
var squares = func() (t [256]uint32) {
	for b := range t {
		s := int32(DecodePCMU(byte(b)))
		t[b] = uint32(s * s)
	}
	return t
}()
