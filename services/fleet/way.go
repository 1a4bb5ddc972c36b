package fleet

import (
	"context"
	"strconv"

	"github.com/smaran-v2/smaran/services/discovery"
	"github.com/smaran-v2/smaran/services/fleet/internal/proc"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/version"
	"github.com/smaran-v2/smaran/services/wire"
)

// way is a coordinator and the data plane that it sends through. Each way has the list of pods from a file.
type way struct {
	smaran, mesh service
	// suffix tells the second way's processes from the first one's.
	suffix      string
	endpoints   string
	meshProcess proc.Spec
	meshProbe   probe
}

// secondSuffix is that of the second way.
const secondSuffix = "-2"

// firstWay is at the addresses that the layout has for it.
func (f *Fleet) firstWay(ctx context.Context, public string) (*way, error) {
	w := &way{
		smaran:    service{address: public, admin: f.layout.local(offsetSmaranAdmin)},
		mesh:      service{address: f.layout.local(offsetMesh), admin: f.layout.local(offsetMeshAdmin)},
		endpoints: f.dir.endpointsFile(),
	}
	return w, f.describe(ctx, w)
}

// secondWay is at free ports: no ring depends on them.
func (f *Fleet) secondWay(ctx context.Context) (*way, error) {
	w := &way{suffix: secondSuffix, endpoints: f.dir.lateEndpointsFile()}
	for _, at := range []*string{&w.smaran.address, &w.smaran.admin, &w.mesh.address, &w.mesh.admin} {
		var err error
		if *at, err = publicAddress(ctx, loopback+":0"); err != nil {
			return nil, err
		}
	}
	return w, f.describe(ctx, w)
}

// describe says what runs there.
func (f *Fleet) describe(ctx context.Context, w *way) (err error) {
	w.smaran.kind, w.smaran.version = kindGo, version.String()
	w.mesh.kind, w.mesh.version = kindGo, version.String()
	if f.cfg.Mesh == MeshEnvoy {
		w.mesh.kind, w.mesh.version = kindEnvoy, versionOf(ctx, f.programs.envoy)
	}
	w.meshProcess, w.meshProbe, err = f.meshSpec(w)
	return err
}

// startWay starts both; awaitWay returns once they serve.
func (f *Fleet) startWay(w *way) error {
	if err := f.start(&w.mesh, meshName+w.suffix, w.meshProcess, w.meshProbe); err != nil {
		return err
	}
	return f.startSmaran(w)
}

func (f *Fleet) awaitWay(ctx context.Context, w *way) error {
	for _, m := range []*member{w.mesh.member, w.smaran.member} {
		if err := f.board.await(ctx, func() (bool, error) { return m.serving(0) }); err != nil {
			return err
		}
	}
	return nil
}

func (f *Fleet) startSmaran(w *way) error {
	settings := goLimits(serviceMemoryMiB)
	for key, value := range map[string]string{
		"LISTEN": w.smaran.address, "ADMIN_LISTEN": w.smaran.admin,
		"BACKEND":                string(f.cfg.Backend),
		"ALLOW_BACKEND_OVERRIDE": strconv.FormatBool(f.cfg.Override),
		"ENDPOINTS":              discovery.File(w.endpoints).String(),
		"MESH_URL":               baseURL(w.mesh.address),
		"MESH_POLICY":            string(f.cfg.meshPolicy()),
		"RING_SIZE":              strconv.FormatUint(f.cfg.RingSize, 10),
		"REDIS_ADDR":             f.redis.address,
		"TOKEN_KEYS":             f.tokenKey,
		"SESSION_MODE":           f.cfg.SessionMode,
		"SHUTDOWN_GRACE":         f.cfg.Grace.String(),
		"SEED":                   f.seedOf(0),
		"LOG_LEVEL":              f.cfg.LogLevel,
	} {
		settings[config.PrefixSmaran+key] = value
	}
	if f.cfg.RedisTTL > 0 {
		settings[config.PrefixSmaran+"REDIS_TTL"] = f.cfg.RedisTTL.String()
	}
	spec := proc.Spec{
		Path: f.programs.smaran,
		Env:  f.environ.with(settings).overridden(config.PrefixSmaran, f.cfg.Env),
		Log:  f.dir.log(smaranName + w.suffix),
	}
	return f.start(&w.smaran, smaranName+w.suffix, spec, answers200(probeClient(), "http://"+w.smaran.admin+wire.PathReady))
}
