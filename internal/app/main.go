package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"log/slog"

	"mailsweep/internal/config"
	"mailsweep/internal/store"
	"mailsweep/internal/telemetry"
)

// Main is what each binary does: settings, log, signals, run. It returns the exit code. A second signal ends the process at once.
func Main(process string, run func(context.Context, config.Config, *slog.Logger) error) int {
	if err := config.ReadDotEnv(".env"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	cfg, err := config.Load(process)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	out := telemetry.NewLossy(os.Stderr)
	defer out.Close(time.Second)
	log := Logger(cfg, out)
	out.Tell(func(lost int64) { log.Warn("lines of this log were lost: nobody took them", "lines", lost) })
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from now on a signal has its default effect
	if err := run(ctx, cfg, log); err != nil {
		log.Error("stopped", "error", err.Error())
		return 1
	}
	return 0
}

// Logger writes records as the configuration says.
func Logger(cfg config.Config, w io.Writer) *slog.Logger {
	return telemetry.NewLogger(w, telemetry.Options{Process: cfg.Process, Format: cfg.Log.Format, Level: cfg.Log.Level, Build: telemetry.ReadBuild()})
}

// Migrate brings the database to this binary's schema and gives the roles their passwords.
func Migrate(ctx context.Context, cfg config.Config, log *slog.Logger) error {
	passwords := store.Passwords{}
	for role, p := range map[string]config.Secret{"mailsweep_owner": cfg.DB.OwnerPassword, "mailsweep_app": cfg.DB.AppPassword,
		"mailsweep_worker": cfg.DB.WorkerPassword, "mailsweep_scheduler": cfg.DB.SchedulerPassword, "mailsweep_ops": cfg.DB.OpsPassword} {
		if !p.IsZero() {
			passwords[role] = p.Reveal()
		}
	}
	if err := store.Migrate(ctx, cfg.DB.URL.Reveal(), passwords); err != nil {
		return err
	}
	log.Info("the database has this binary's schema")
	return nil
}
