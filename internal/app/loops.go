package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"
)

// loop is one thing that runs for the life of a process.
type loop struct {
	name string
	run  func(context.Context) error
}

// runStages runs all loops at once and stops them stage by stage, last stage first: a stage's context ends only when every loop of the
// stages after it has returned. An error of any loop stops the process.
func runStages(ctx context.Context, log *slog.Logger, stages ...[]loop) error {
	failed, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stops := make([]context.CancelFunc, len(stages))
	groups := make([]*errgroup.Group, len(stages))
	for i, stage := range stages {
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		stops[i], groups[i] = stop, &errgroup.Group{}
		for _, l := range stage {
			groups[i].Go(func() error {
				err := l.run(own)
				if err != nil && !errors.Is(err, context.Canceled) {
					err = fmt.Errorf("%s: %w", l.name, err)
					fail(err)
					return err
				}
				if own.Err() == nil {
					fail(fmt.Errorf("%s ended by itself", l.name))
				}
				return nil
			})
		}
	}
	<-failed.Done()
	log.Info("stopping")
	var errs []error
	for i := len(stages) - 1; i >= 0; i-- {
		stops[i]()
		errs = append(errs, groups[i].Wait())
	}
	if cause := context.Cause(failed); ctx.Err() == nil {
		errs = append(errs, cause)
	}
	return errors.Join(errs...)
}
