package jarvis

import (
	"context"
	"fmt"
	"net"

	"github.com/smaran-v2/smaran/services/internal/httpserver"
)

// sockets are opened before anything else, so that a taken port is the first thing to fail.
type sockets struct {
	public, admin net.Listener
	media         net.PacketConn
}

func listen(ctx context.Context, cfg Config) (s sockets, err error) {
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.public, err = httpserver.Listen(ctx, cfg.Listen); err != nil {
		return s, err
	}
	if s.admin, err = httpserver.Listen(ctx, cfg.AdminListen); err != nil {
		return s, err
	}
	if s.media, err = new(net.ListenConfig).ListenPacket(ctx, "udp", cfg.MediaListen); err != nil {
		return s, fmt.Errorf("listen for media on %q: %w", cfg.MediaListen, err)
	}
	return s, nil
}

// close is harmless for what its owner has closed.
func (s sockets) close() {
	if s.public != nil {
		_ = s.public.Close()
	}
	if s.admin != nil {
		_ = s.admin.Close()
	}
	if s.media != nil {
		_ = s.media.Close()
	}
}
