package pionlog_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/jarvis/call/pionlog"
)

func TestLevelsAreShiftedDown(t *testing.T) {
	const (
		warning = `level=DEBUG msg="100% odd" pion=ice` + "\n"
		failure = `level=INFO msg="gone 7" pion=ice` + "\n"
	)
	for level, want := range map[slog.Level]string{
		slog.LevelDebug: warning + failure,
		slog.LevelInfo:  failure,
		slog.LevelWarn:  "",
	} {
		var out bytes.Buffer
		log := pionlog.New(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTime}))).NewLogger("ice")
		log.Tracef("packet %d", 1)
		log.Info("starting")
		log.Warn("100% odd") // no arguments, no formatting
		log.Errorf("gone %d", 7)
		require.Equal(t, want, out.String(), level)
	}
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
