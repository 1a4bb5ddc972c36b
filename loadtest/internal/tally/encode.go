package tally

import (
	"errors"
	"fmt"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// ErrHistogram is returned for bytes that are no histogram of this package.
var ErrHistogram = errors.New("bad histogram")

// MarshalBinary encodes the histogram in full, in HdrHistogram's V2 compressed encoding.
func (h Histogram) MarshalBinary() ([]byte, error) {
	return h.hdr.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

// UnmarshalBinary fails with ErrHistogram.
func (h *Histogram) UnmarshalBinary(data []byte) error {
	hdr, err := hdrhistogram.Decode(data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrHistogram, err)
	}
	h.hdr = hdr
	return nil
}
