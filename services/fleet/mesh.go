package fleet

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/smaran-v2/smaran/services/fleet/internal/proc"
	"github.com/smaran-v2/smaran/services/internal/config"
	"github.com/smaran-v2/smaran/services/mesh"
	"github.com/smaran-v2/smaran/services/mesh/envoyconfig"
	"github.com/smaran-v2/smaran/services/wire"
)

// meshPolicy is what the mesh does for a backend that it chooses for, and for those that address pods themselves.
func (c *Config) meshPolicy() mesh.Policy {
	if c.Policy != "" {
		return c.Policy
	}
	return c.Backend.MeshPolicy()
}

// ringSize is that of the mesh's ring, 0 where its policy has none.
func (c *Config) ringSize() uint64 {
	if c.meshPolicy() == mesh.Ring {
		return c.RingSize
	}
	return 0
}

func (f *Fleet) meshArgs(w *way) []string {
	return []string{
		"--listen", w.mesh.address, "--admin", w.mesh.admin, "--endpoints", w.endpoints,
		"--policy", string(f.cfg.meshPolicy()), "--ring-size", strconv.FormatUint(f.cfg.RingSize, 10),
		"--shutdown-grace", f.cfg.Grace.String(), "--seed", strconv.FormatUint(f.cfg.Seed, 10), "--log-level", f.cfg.LogLevel,
	}
}

// meshSpec is our own mesh, or an Envoy that is told the same. It fails for options that either refuses.
func (f *Fleet) meshSpec(w *way) (proc.Spec, probe, error) {
	own := environment{}.overridden(config.PrefixMesh, f.cfg.Env)
	options, err := mesh.Parse(f.meshArgs(w), own, io.Discard)
	if err != nil {
		return proc.Spec{}, nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	if f.cfg.Mesh == MeshEnvoy {
		spec, err := f.envoySpec(w, options)
		return spec, answers200(probeClient(), "http://"+w.mesh.admin+envoyReadyPath), err
	}
	return proc.Spec{
		Path: f.programs.mesh,
		Args: f.meshArgs(w),
		Env:  append(f.environ.with(goLimits(serviceMemoryMiB)), own...),
		Log:  f.dir.log(meshName + w.suffix),
	}, answers200(probeClient(), "http://"+w.mesh.admin+wire.PathReady), nil
}

func (f *Fleet) envoySpec(w *way, o mesh.Options) (proc.Spec, error) {
	bootstrap, err := envoyconfig.Bootstrap(o)
	if err != nil {
		return proc.Spec{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	path := filepath.Join(f.dir.path, "envoy"+w.suffix+".json")
	if err := os.WriteFile(path, bootstrap, 0o644); err != nil {
		return proc.Spec{}, fmt.Errorf("envoy's bootstrap: %w", err)
	}
	return proc.Spec{
		Path: f.programs.envoy,
		Args: []string{
			"--config-path", path,
			// Workers balance each on their own, which would make round robin less even than ours.
			"--concurrency", "1",
			// Hot restart takes shared memory by a number that other Envoys on the machine use too.
			"--disable-hot-restart",
			"--log-level", "warn",
		},
		Env: f.environ, Log: f.dir.log(meshName + w.suffix), Foreign: true,
	}, nil
}
