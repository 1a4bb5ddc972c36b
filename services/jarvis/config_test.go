package jarvis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/smaran-v2/smaran/services/affinity"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/jarvis"
	"github.com/smaran-v2/smaran/services/registry"
	"github.com/smaran-v2/smaran/services/session"
)

func TestConfigDefaults(t *testing.T) {
	got, err := config.Parse[jarvis.Config](jarvis.EnvPrefix, nil)
	require.NoError(t, err)
	require.Equal(t, jarvis.Config{
		Listen: ":8080", AdminListen: ":9090", MediaListen: ":40000",
		WeightsMB: 500, SliceLoad: 500 * time.Millisecond, CacheRebuildMin: 250 * time.Millisecond, CacheRebuildMax: 300 * time.Millisecond,
		InferenceMean: 100 * time.Millisecond, InferenceSigma: 0.03,
		MaxSessions: 1000, SessionIdle: 30 * time.Minute, ResultsPerSession: 32, MaxCalls: 200,
		DrainTimeout: 10 * time.Second, Heartbeat: 250 * time.Millisecond, RedisTTL: registry.DefaultSessionTTL,
		SessionStore: "none", Hash: affinity.PolicyRing, RingSize: affinity.DefaultMinRingSize,
		SessionMode: session.Strict, LogLevel: "info", LogFormat: "text",
	}, got)
}

func TestConfigIsRead(t *testing.T) {
	got, err := config.Parse[jarvis.Config](jarvis.EnvPrefix, []string{
		"JARVIS_POD=jarvis-1", "JARVIS_ADDRESS=[fd00::1]:8080", "JARVIS_ICE_LITE=false", "JARVIS_SEED=7",
		"JARVIS_SESSION_MODE=lenient", "JARVIS_REDIS_ADDR=127.0.0.1:6379", "JARVIS_MEDIA_ADVERTISE=192.0.2.7", "PATH=/bin"})
	require.NoError(t, err)
	require.Equal(t, "[fd00::1]:8080", got.Address)
	require.NotNil(t, got.ICELite)
	require.False(t, *got.ICELite)
	require.EqualValues(t, 7, got.Seed)
	require.Equal(t, session.Lenient, got.SessionMode)
}

func TestConfigIsStrict(t *testing.T) {
	for entry, want := range map[string]string{
		"JARVIS_WIEGHTS_MB=1":            "JARVIS_WIEGHTS_MB",
		"JARVIS_WEIGHTS_MB=-1":           "WEIGHTS_MB is -1",
		"JARVIS_WEIGHTS_MB=9999999":      "WEIGHTS_MB is 9999999",
		"JARVIS_MAX_SESSIONS=0":          "MAX_SESSIONS is 0",
		"JARVIS_SESSION_IDLE=0s":         "SESSION_IDLE is 0s",
		"JARVIS_RESULTS_PER_SESSION=0":   "RESULTS_PER_SESSION is 0",
		"JARVIS_MAX_CALLS=0":             "MAX_CALLS is 0",
		"JARVIS_DRAIN_TIMEOUT=-1s":       "DRAIN_TIMEOUT is -1s",
		"JARVIS_HEARTBEAT=0s":            "HEARTBEAT is 0s",
		"JARVIS_REDIS_TTL=1ms":           "REDIS_TTL is 1ms",
		"JARVIS_ADDRESS=jarvis-1:8080":   "expected ip:port",
		"JARVIS_CACHE_REBUILD_MIN=301ms": "cache rebuild",
		"JARVIS_INFERENCE_SIGMA=2":       "sigma",
		"JARVIS_SESSION_MODE=loose":      "strict or lenient",
		"JARVIS_SEED=many":               "Seed",
		"JARVIS_READINESS_GATE=a b":      `READINESS_GATE is "a b": `,
		"JARVIS_READINESS_GATE=a/b":      `READINESS_GATE is set and ENDPOINTS is ""`,
	} {
		t.Run(entry, func(t *testing.T) {
			_, err := config.Parse[jarvis.Config](jarvis.EnvPrefix, []string{entry})
			require.ErrorContains(t, err, want)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestConfigReportsEverythingThatIsWrongOnOneLine(t *testing.T) {
	_, err := config.Parse[jarvis.Config](jarvis.EnvPrefix, []string{"JARVIS_MAX_CALLS=0", "JARVIS_HEARTBEAT=0s"})
	require.ErrorContains(t, err, "MAX_CALLS is 0, expected above 0; HEARTBEAT is 0s, expected above 0")
}

func TestConfigOfAdmission(t *testing.T) {
	gated := func(location string) (jarvis.Config, error) {
		return config.Parse[jarvis.Config](jarvis.EnvPrefix, []string{"JARVIS_ADDRESS=10.0.0.1:8080",
			"JARVIS_READINESS_GATE=smaran-v2.dev/admitted", "JARVIS_ENDPOINTS=" + location})
	}
	got, err := gated("kubernetes://dev/jarvis-service?port=http")
	require.NoError(t, err)
	require.Equal(t, "smaran-v2.dev/admitted", got.ReadinessGate)
	_, err = gated("file:///run/eds.json")
	require.ErrorContains(t, err, `READINESS_GATE is set and ENDPOINTS is "file:///run/eds.json", expected such as kubernetes://`)
	require.NotContains(t, err.Error(), "\n")
}
