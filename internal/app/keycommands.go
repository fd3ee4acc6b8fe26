package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"text/tabwriter"

	"mailsweep/internal/account"
	"mailsweep/internal/config"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// KeysUsage is how the worker's command for keysets is called.
const KeysUsage = `keys [status | add SET | promote SET ID | public | reseal | disable SET ID | destroy SET ID], SET being token or index`

// ChangeKeys does one command on the files of keysets. Whatever takes a key out of use is refused while anything is sealed under it.
func ChangeKeys(args []string, out io.Writer) func(context.Context, config.Config, *slog.Logger) error {
	return func(ctx context.Context, cfg config.Config, log *slog.Logger) error {
		d := &keyDesk{out: out, log: log}
		act, err := d.parse(args)
		if err != nil {
			return err
		}
		if d.sources, err = keysetSources(ctx, cfg); err != nil {
			return err
		}
		if d.db, err = store.Open(ctx, store.Options{URL: cfg.DB.For(cfg.Process).Reveal(), Process: "keys", MaxConns: 4, ClockOffset: cfg.ClockOffset}); err != nil {
			return err
		}
		defer d.db.Close()
		return act(ctx)
	}
}

// keyDesk is what the commands for keysets work on.
type keyDesk struct {
	sources sources
	db      *store.DB
	out     io.Writer
	log     *slog.Logger
}

func (d *keyDesk) parse(args []string) (func(context.Context) error, error) {
	usage := sweep.Errorf(sweep.Invalid, "usage: worker %s", KeysUsage)
	if len(args) == 1 {
		act := map[string]func(context.Context) error{"status": d.status, "public": d.public, "reseal": d.reseal}[args[0]]
		if act == nil {
			return nil, usage
		}
		return act, nil
	}
	if len(args) < 2 || !slices.Contains([]string{secret.TokenKeyset, secret.IndexKeyset}, args[1]) {
		return nil, usage
	}
	if len(args) == 2 && args[0] == "add" {
		return func(ctx context.Context) error { return d.add(ctx, args[1]) }, nil
	}
	act := map[string]func(context.Context, string, uint32) error{"promote": d.promote, "disable": d.disable, "destroy": d.destroy}[args[0]]
	if len(args) != 3 || act == nil {
		return nil, usage
	}
	id, err := strconv.ParseUint(args[2], 10, 32)
	if err != nil {
		return nil, usage
	}
	return func(ctx context.Context) error { return act(ctx, args[1], uint32(id)) }, nil
}

func (d *keyDesk) source(set string) secret.Source {
	if set == secret.TokenKeyset {
		return d.sources.private
	}
	return d.sources.index
}

// uses counts what is sealed under each key of each keyset, of all customers.
func (d *keyDesk) uses(ctx context.Context) (map[string]map[uint32]int, error) {
	sum := map[string]map[uint32]int{secret.TokenKeyset: {}, secret.IndexKeyset: {}}
	err := d.db.EachCustomer(ctx, verifyPage, func(id sweep.ID) error {
		return d.db.Tenant(ctx, id, func(tx *store.Tx) error {
			uses, err := tx.KeyUses()
			for _, u := range uses {
				set := secret.TokenKeyset
				if u.Place == store.SealedDataKey {
					set = secret.IndexKeyset
				}
				sum[set][uint32(u.Key)] += u.N
			}
			return err
		})
	})
	return sum, err
}

// status lists the keys of both keysets with what is sealed under each, and keys that are missing though something is sealed under them.
func (d *keyDesk) status(ctx context.Context) error {
	uses, err := d.uses(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(d.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEYSET\tKEY\tSTATE\tSEALED")
	for _, set := range []string{secret.TokenKeyset, secret.IndexKeyset} {
		keys, err := d.source(set).Keys()
		if err != nil {
			return err
		}
		for _, k := range keys {
			fmt.Fprintf(w, "%s\t%d\t%s\t%d\n", set, k.ID, state(k), uses[set][k.ID])
			delete(uses[set], k.ID)
		}
		for id, n := range uses[set] {
			fmt.Fprintf(w, "%s\t%d\tmissing\t%d\n", set, id, n)
		}
	}
	return w.Flush()
}

func state(k secret.KeyInfo) string {
	switch {
	case k.Primary:
		return "primary"
	case k.Enabled:
		return "enabled"
	}
	return "disabled"
}

func (d *keyDesk) add(ctx context.Context, set string) error {
	id, err := d.source(set).Add(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "added key %d to keyset %s; when every process that opens has the file, promote it\n", id, set)
	return nil
}

func (d *keyDesk) promote(ctx context.Context, set string, id uint32) error {
	if err := d.source(set).Promote(ctx, id); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "key %d of keyset %s is the primary one\n", id, set)
	if set == secret.TokenKeyset {
		fmt.Fprintln(d.out, "give the API the new public half: worker keys public")
	}
	return nil
}

func (d *keyDesk) public(context.Context) error {
	public, err := d.sources.private.Public()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(d.out, "%s\n", public)
	return err
}

// reseal does at once what the worker does by itself within a minute.
func (d *keyDesk) reseal(ctx context.Context) error {
	opener, err := openTokens(d.sources)
	if err != nil {
		return err
	}
	vault, err := openVault(d.sources)
	if err != nil {
		return err
	}
	sum, err := (&account.Resealer{DB: d.db, Opener: opener, Vault: vault, Log: d.log}).Pass(ctx)
	fmt.Fprintf(d.out, "%d values sealed anew, %d could not be opened\n", sum.Done, sum.Failed)
	return err
}

// disable makes sure that nothing is sealed under a key, lets nothing be sealed under it any more, makes sure again, and then takes it out
// of use. Where a process still seals under it, that is refused from then on: better than a token that nobody can open.
func (d *keyDesk) disable(ctx context.Context, set string, id uint32) error {
	keys, err := d.source(set).Keys()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(keys, func(k secret.KeyInfo) bool { return k.ID == id && k.Primary }) {
		return sweep.Errorf(sweep.Conflict, "key %d is the primary one: promote another first", id)
	}
	if err := d.unused(ctx, set, id); err != nil {
		return err
	}
	if err := d.db.RetireKey(ctx, set, id); err != nil {
		return err
	}
	err = d.unused(ctx, set, id)
	if err == nil {
		err = d.source(set).Disable(ctx, id)
	}
	if err != nil {
		if undo := d.db.UnretireKey(context.WithoutCancel(ctx), set, id); undo != nil {
			d.log.Error("the key stays retired", "keyset", set, "key", id, "error", undo.Error())
		}
		return err
	}
	fmt.Fprintf(d.out, "key %d of keyset %s opens nothing any more\n", id, set)
	return nil
}

func (d *keyDesk) unused(ctx context.Context, set string, id uint32) error {
	uses, err := d.uses(ctx)
	if err != nil {
		return err
	}
	if n := uses[set][id]; n > 0 {
		return sweep.Errorf(sweep.Conflict, "%d values are sealed under key %d of keyset %s: reseal them first", n, id, set)
	}
	return nil
}

func (d *keyDesk) destroy(ctx context.Context, set string, id uint32) error {
	retired, err := d.db.KeyRetired(ctx, set, id)
	if err == nil && !retired {
		err = sweep.Errorf(sweep.Conflict, "key %d of keyset %s is not disabled", id, set)
	}
	if err == nil {
		err = d.unused(ctx, set, id)
	}
	if err == nil {
		err = d.source(set).Destroy(ctx, id)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "key %d of keyset %s is destroyed\n", id, set)
	return nil
}
