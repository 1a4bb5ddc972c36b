package fleet

import (
	"fmt"

	"github.com/alicebob/miniredis/v2"
)

// embeddedRedis is a miniredis in this process. Claims about Redis' speed need the real one.
type embeddedRedis struct {
	address string
	server  *miniredis.Miniredis // nil: down
}

// up starts it empty.
func (r *embeddedRedis) up() error {
	if r.server != nil {
		return nil
	}
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(r.address); err != nil {
		return fmt.Errorf("%w: miniredis: %w", ErrAddress, err)
	}
	server.ClockTTL(true) // by itself it expires nothing
	r.server = server
	return nil
}

// down cuts its connections too.
func (r *embeddedRedis) down() {
	if r.server != nil {
		r.server.Close()
		r.server = nil
	}
}
