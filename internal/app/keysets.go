package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailsweep/internal/account"
	"mailsweep/internal/config"
	"mailsweep/internal/secret"
)

// sources are where a process's keysets are.
type sources struct{ public, private, index secret.Source }

func keysetSources(ctx context.Context, cfg config.Config) (s sources, err error) {
	production := cfg.Env.IsProduction()
	s.public = secret.Source{Ref: cfg.Keys.TokenPublic.Reveal(), Production: production}
	s.private = secret.Source{Name: secret.TokenKeyset, Ref: cfg.Keys.TokenPrivate.Reveal(), Production: production}
	s.index = secret.Source{Name: secret.IndexKeyset, Ref: cfg.Keys.Index.Reveal(), Production: production}
	if cfg.Keys.KEK == "" {
		return s, nil
	}
	kek, err := secret.NewCloudKEK(ctx, cfg.Keys.KEK, cfg.Keys.KMSURL, cfg.Keys.KMSURL != "" && !production)
	if err != nil {
		return s, fmt.Errorf("read KEYSET_KEK: %w", err)
	}
	s.private.KEK, s.index.KEK = kek, kek
	return s, nil
}

// openVault and its like name the setting that is wrong.
func openVault(s sources) (*secret.Vault, error) {
	v, err := secret.FollowVault(s.index)
	if err != nil {
		return nil, fmt.Errorf("read INDEX_KEYSET: %w", err)
	}
	return v, nil
}

func openTokens(s sources) (*secret.TokenOpener, error) {
	o, err := secret.FollowTokenOpener(s.private)
	if err != nil {
		return nil, fmt.Errorf("read TOKEN_KEYSET_PRIVATE: %w", err)
	}
	return o, nil
}

// keysetsEvery is how soon a process takes up a keyset that has changed.
const keysetsEvery = 5 * time.Second

// renewable is a keyset in use.
type renewable interface {
	Renew() (changed bool, err error)
	Primary() uint32
}

// keysets takes up what has changed in the files of keysets. The figure tells which key a process seals with, so that whoever rotates sees
// who has taken it up.
func (p *parts) keysets(inUse map[string]renewable) loop {
	primary := p.figures.gauge("mailsweep_keyset_primary", "Id of the key that the process seals with.", "keyset")
	return loop{"keysets", every(keysetsEvery, p.log, "take up keysets", func(ctx context.Context) error {
		var errs []error
		for name, k := range inUse {
			changed, err := k.Renew()
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
			if changed {
				p.log.InfoContext(ctx, "keyset taken up", "keyset", name, "primary", k.Primary())
			}
			primary.WithLabelValues(name).Set(float64(k.Primary()))
		}
		return errors.Join(errs...)
	})}
}

// How often the worker looks for what is sealed under old keys: while there is some, and else, for what a process sealed that heard of the
// new key late.
const (
	resealEvery = time.Minute
	resealAgain = time.Hour
)

// reseal seals anew what is sealed under old keys.
func (p *parts) reseal(opener *secret.TokenOpener) loop {
	watch, left := p.figures.resealed()
	r := &account.Resealer{DB: p.db, Opener: opener, Vault: p.vault, Log: p.log, Watch: watch}
	var clean [2]uint32 // the primary keys of the last pass that found nothing to do
	var at time.Time
	return loop{"reseal", every(resealEvery, p.log, "seal anew", func(ctx context.Context) error {
		keys := [2]uint32{opener.Primary(), p.vault.Primary()}
		if keys == clean && time.Since(at) < resealAgain {
			return nil
		}
		sum, err := r.Pass(ctx)
		if err != nil {
			return err
		}
		left.Set(float64(sum.Failed))
		if sum.Done > 0 {
			p.log.InfoContext(ctx, "sealed anew", "values", sum.Done, "failed", sum.Failed)
			return nil // once more, a minute later
		}
		clean, at = keys, time.Now()
		return nil
	})}
}

// resealed counts what is sealed anew by place, and tells what the last pass could not open.
func (f figures) resealed() (watch func(place string, ok bool), left prometheus.Gauge) {
	values := f.counter("mailsweep_resealed_total", "Values sealed anew under the primary key.", "place", "outcome")
	left = f.gauge("mailsweep_reseal_failed", "Values under an old key that the last pass could not open.").WithLabelValues()
	return func(place string, ok bool) {
		values.WithLabelValues(place, map[bool]string{true: "ok", false: "failed"}[ok]).Inc()
	}, left
}
