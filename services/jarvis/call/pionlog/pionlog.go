// Package pionlog lets pion log through slog, so that a process has one log. Levels are shifted down by one: what pion
// calls an error is a peer's misbehaviour more often than a fault here.
package pionlog

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// levelDetail is below slog.LevelDebug: what pion says of its every packet.
const levelDetail = slog.LevelDebug - 4

// New returns a factory whose loggers write to log, with the part of pion as attribute "pion".
func New(log *slog.Logger) logging.LoggerFactory { return factory{log} }

type factory struct{ log *slog.Logger }

func (f factory) NewLogger(scope string) logging.LeveledLogger {
	return logger{f.log.With("pion", scope)}
}

type logger struct{ log *slog.Logger }

func (l logger) Trace(msg string)          { l.write(levelDetail, msg) }
func (l logger) Tracef(f string, a ...any) { l.write(levelDetail, f, a...) }
func (l logger) Debug(msg string)          { l.write(levelDetail, msg) }
func (l logger) Debugf(f string, a ...any) { l.write(levelDetail, f, a...) }
func (l logger) Info(msg string)           { l.write(levelDetail, msg) }
func (l logger) Infof(f string, a ...any)  { l.write(levelDetail, f, a...) }
func (l logger) Warn(msg string)           { l.write(slog.LevelDebug, msg) }
func (l logger) Warnf(f string, a ...any)  { l.write(slog.LevelDebug, f, a...) }
func (l logger) Error(msg string)          { l.write(slog.LevelInfo, msg) }
func (l logger) Errorf(f string, a ...any) { l.write(slog.LevelInfo, f, a...) }

// write formats only what will be written: pion traces every packet.
func (l logger) write(level slog.Level, format string, args ...any) {
	ctx := context.Background()
	if !l.log.Enabled(ctx, level) {
		return
	}
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	l.log.Log(ctx, level, format)
}
