package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/internal/config"
)

type settings struct {
	Listen string        `env:"LISTEN" envDefault:":8080"`
	Grace  time.Duration `env:"GRACE" envDefault:"5s"`
	Calls  int           `env:"CALLS" envDefault:"1"`
}

func (s *settings) Validate() error {
	if s.Calls < 1 {
		return errors.New("POD_CALLS must be at least 1")
	}
	return nil
}

func TestParseTakesDefaultsAndValues(t *testing.T) {
	got, err := config.Parse[settings]("POD_", []string{"POD_GRACE=2s", "PATH=/bin", "OTHER_LISTEN=x"})
	require.NoError(t, err)
	require.Equal(t, settings{Listen: ":8080", Grace: 2 * time.Second, Calls: 1}, got)
}

func TestParseStopsTheStart(t *testing.T) {
	for name, tc := range map[string]struct {
		entry string
		want  error
		says  string
	}{
		"unknown key": {"POD_GRACEE=2s", config.ErrUnknownKey, "POD_GRACEE; known: POD_CALLS POD_GRACE POD_LISTEN"},
		"bad value":   {"POD_GRACE=soon", config.ErrInvalid, "soon"},
		"impossible":  {"POD_CALLS=0", config.ErrInvalid, "at least 1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := config.Parse[settings]("POD_", []string{tc.entry})
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.says)
			require.False(t, strings.Contains(err.Error(), "\n"), "one line")
		})
	}
}

func TestParseIgnoresWhatItIsTold(t *testing.T) {
	_, err := config.Parse[settings]("POD_", []string{"POD_LIFELINE_FD=3"}, "POD_LIFELINE_FD")
	require.NoError(t, err)
}
