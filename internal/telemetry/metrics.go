package telemetry

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Build says what was built. Version is the module's version, or the commit, or devel.
type Build struct{ Version, Commit, Time, Go string }

// ReadBuild reads what the compiler wrote into the binary.
func ReadBuild() Build {
	b := Build{Version: "devel", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	modified := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			modified = s.Value == "true"
		}
	}
	switch {
	case info.Main.Version != "" && info.Main.Version != "(devel)":
		b.Version = info.Main.Version
	case b.Commit != "":
		b.Version = b.Commit[:min(12, len(b.Commit))]
	}
	if modified && b.Version != "devel" {
		b.Version += "+changes"
	}
	return b
}

// NewRegistry makes a process's own registry (no global one) with the collectors of Go and the process, and
// mailsweep_build_info.
func NewRegistry(process string, b Build) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "mailsweep_build_info", Help: "Always 1; the labels say what runs.",
			ConstLabels: prometheus.Labels{"process": process, "version": b.Version, "commit": b.Commit, "go": b.Go},
		}, func() float64 { return 1 }),
	)
	return registry
}
