package nb

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gomlx/compute"
	"github.com/janpfeifer/gonb/gonbui"

	"github.com/geometric-complexity/toolkit/backend"
	"github.com/geometric-complexity/toolkit/experiments/experiment"
	"github.com/geometric-complexity/toolkit/experiments/runs"
)

// Run runs an experiment at a scale, whose configuration may be changed, and shows its progress. It
// uses the fastest backend, and the output folder of `gcml run`. Runs that are complete there are
// not repeated, so running the cell again costs nothing, and after an interruption it continues. At
// the smallest scale it does the same as Look.
func Run[C any](e *experiment.Definition[C], cfg C, scale experiment.Scale) *Outcome[C] {
	if scale == experiment.Smoke {
		return Look(e, cfg)
	}
	b, info, err := backend.Open()
	Check(err)
	defer b.Finalize()
	return run(e, cfg, scale, b, info)
}

// Look runs a small configuration with the seeds of the smallest scale, in that scale's folder. It
// takes the pure Go backend, which starts at once: XLA would compile for longer than such networks
// train.
func Look[C any](e *experiment.Definition[C], cfg C) *Outcome[C] {
	b, info, err := backend.OpenConfig("go")
	Check(err)
	defer b.Finalize()
	return run(e, cfg, experiment.Smoke, b, info)
}

func run[C any](e *experiment.Definition[C], cfg C, scale experiment.Scale, b compute.Backend,
	info backend.Info) *Outcome[C] {
	out, err := outFolder(e.About.Folder(scale))
	Check(err)
	p := newProgress()
	begin := time.Now()
	env := runs.Env{Backend: b, BackendName: info.ResultName(), Out: out, Progress: p}
	result, err := e.Run(Context(), env, cfg, e.Seeds(scale))
	var interrupted *runs.InterruptedError
	if errors.As(err, &interrupted) {
		p.end("%s; run the cell again to go on", interrupted.Error())
		gonbui.Sync()
		os.Exit(0) // An interrupt is no error.
	}
	Check(err)
	if done := len(result.Runs) - result.Reused; done == 0 {
		p.end("%d runs, all complete from before &middot; results in %s", len(result.Runs), shorten(out))
	} else {
		p.end("%d runs, %d of them done now in %s &middot; %s &middot; results in %s", len(result.Runs), done,
			time.Since(begin).Round(100*time.Millisecond).String(), describe(info), shorten(out))
	}
	size := "This run: the configuration of this cell."
	if same(cfg, e.Config(scale)) {
		size = fmt.Sprintf("This run, of %s scale: %s.", scale, e.About.Scales[scale])
	}
	records, err := e.Records(out, result.Backend, cfg, result.Seeds)
	Check(err)
	gonbui.Sync()
	return &Outcome[C]{Result: result, Settings: cfg, folder: out, size: size, scale: scale,
		design: e.Design(cfg, result.Seeds), records: records}
}
