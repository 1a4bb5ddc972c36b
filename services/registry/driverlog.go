package registry

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogDriver sends what the Redis driver has to say to log, at debug level: it writes a line to standard error for each
// connection that fails, which in an outage is one a request. The driver has one logger a process, so this is for Run
// functions, not for libraries.
func LogDriver(log *slog.Logger) { redis.SetLogger(driverLog{log}) }

type driverLog struct{ log *slog.Logger }

func (d driverLog) Printf(ctx context.Context, format string, v ...any) {
	if d.log.Enabled(ctx, slog.LevelDebug) {
		d.log.DebugContext(ctx, "redis driver", "message", fmt.Sprintf(format, v...))
	}
}
