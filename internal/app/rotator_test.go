package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
)

// rotator is a process of its own that opens, connects again and seals anew until its input ends. It tells in lines what it does; a line that
// begins with FAIL is a fault.
type rotator struct {
	t     *testing.T
	cmd   *exec.Cmd
	input io.Closer
	lines chan string
}

// rotatorEnv has what the process needs: the API's and the worker's login, the files, and which half of the mailboxes it connects again.
const rotatorEnv = "MAILSWEEP_TEST_ROTATOR"

func (y *vaultyard) startRotator(half int) *rotator {
	y.t.Helper()
	s := y.desk.sources
	cmd := exec.Command(os.Args[0], "-test.run=^TestRotatorProcess$")
	cmd.Env = append(os.Environ(), rotatorEnv+"="+strings.Join([]string{y.d.URL("mailsweep_app", rolePassword), y.d.URL("mailsweep_worker", rolePassword),
		s.public.Ref, s.private.Ref, s.index.Ref, strconv.Itoa(half)}, "\n"))
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	require.NoError(y.t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(y.t, err)
	require.NoError(y.t, cmd.Start())
	r := &rotator{y.t, cmd, input, make(chan string, 100_000)}
	go func() {
		defer close(r.lines)
		for scan := bufio.NewScanner(output); scan.Scan(); {
			r.lines <- scan.Text()
		}
	}()
	y.t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has mostly ended
	return r
}

// wait reads lines until one contains the text.
func (r *rotator) wait(text string) {
	r.t.Helper()
	late := time.After(rotationPatience)
	for {
		select {
		case line, ok := <-r.lines:
			require.True(r.t, ok, "the process ended before it said %q", text)
			require.NotContains(r.t, line, "FAIL")
			if strings.Contains(line, text) {
				return
			}
		case <-late:
			require.FailNow(r.t, "never said", text)
		}
	}
}

func (r *rotator) kill() {
	r.t.Helper()
	require.NoError(r.t, r.cmd.Process.Kill())
	r.drain()
	_ = r.cmd.Wait() // it was killed
}

// stop ends it in peace.
func (r *rotator) stop() {
	r.t.Helper()
	require.NoError(r.t, r.input.Close())
	r.drain()
	require.NoError(r.t, r.cmd.Wait())
}

func (r *rotator) drain() {
	r.t.Helper()
	for line := range r.lines {
		require.NotContains(r.t, line, "FAIL")
	}
}

// TestRotatorProcess is the process, not a test.
func TestRotatorProcess(t *testing.T) {
	env := strings.Split(os.Getenv(rotatorEnv), "\n")
	if len(env) != 6 {
		t.Skip("it is started by TestSealingKeysRotateUnderLoad")
	}
	half, err := strconv.Atoi(env[5])
	require.NoError(t, err)
	p := &rotating{half: half}
	p.app, p.worker = p.connect(t, env[0]), p.connect(t, env[1])
	s := sources{public: secret.Source{Ref: env[2], Production: true}, private: secret.Source{Name: secret.TokenKeyset, Ref: env[3], Production: true},
		index: secret.Source{Name: secret.IndexKeyset, Ref: env[4], Production: true}}
	p.sources = s
	p.sealer, err = secret.FollowTokenSealer(s.public)
	require.NoError(t, err)
	p.opener, err = openTokens(s)
	require.NoError(t, err)
	p.vault, err = openVault(s)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends when the test says so
		stop()
	}()
	g, ctx := errgroup.WithContext(ctx)
	for _, loop := range []func(context.Context) error{p.renew, p.read, p.reconnect, p.reseal} {
		g.Go(func() error {
			for ctx.Err() == nil {
				if err := loop(ctx); err != nil && ctx.Err() == nil {
					fmt.Println("FAIL", strings.ReplaceAll(err.Error(), "\n", " "))
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
}

type rotating struct {
	sources     sources
	app, worker *store.DB
	sealer      *secret.TokenSealer
	opener      *secret.TokenOpener
	vault       *secret.Vault
	half        int
	opened      int
}

func (p *rotating) connect(t *testing.T, url string) *store.DB {
	db, err := store.Open(t.Context(), store.Options{URL: url, Process: "test", MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

// renew takes up what has changed, and says so. It does not hurry, so that keys are met that it has not heard of.
func (p *rotating) renew(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
	for _, k := range []renewable{p.sealer, p.opener, p.vault} {
		if _, err := k.Renew(); err != nil {
			return err
		}
	}
	token, err := p.sources.private.Keys()
	if err != nil {
		return err
	}
	index, err := p.sources.index.Keys()
	fmt.Printf("seals under %d and %d, of %d and %d keys\n", p.sealer.Primary(), p.vault.Primary(), len(token), len(index))
	return err
}

func (p *rotating) any() (int, sealedBox) {
	n := rand.IntN(rotatedCustomers * rotatedMailboxes)
	return n, sealedBox{numberedID(1, n/rotatedMailboxes), numberedID(2, n), fmt.Appendf(nil, "account %d", n)}
}

// read opens a token as a job does, and the customer's data key.
func (p *rotating) read(ctx context.Context) error {
	_, b := p.any()
	var sealed, key []byte
	err := p.worker.Tenant(ctx, b.customer, func(tx *store.Tx) (err error) {
		if sealed, err = tx.RefreshToken(b.id); err != nil {
			return err
		}
		c, err := tx.LoadCustomer()
		key = c.DataKey
		return err
	})
	if err != nil {
		return err
	}
	plain, err := p.opener.Open(sealed, b.place())
	if err != nil {
		return err
	}
	if _, err := grantNumber(b, plain); err != nil {
		return err
	}
	if _, err := p.vault.Box(key, b.customer.String()); err != nil {
		return err
	}
	if p.opened++; p.opened%100 == 0 {
		fmt.Println("opened more")
	}
	return nil
}

// reconnect puts a newer token in force, of its own half of the mailboxes: nobody else does so there.
func (p *rotating) reconnect(ctx context.Context) error {
	n, b := p.any()
	if n%2 != p.half {
		return nil
	}
	var next int
	err := p.worker.Tenant(ctx, b.customer, func(tx *store.Tx) error {
		return tx.Raw("SELECT count(*) FROM oauth_tokens WHERE customer_id = ? AND mailbox_id = ?", b.customer.String(), b.id.String()).Row().Scan(&next)
	})
	if err != nil {
		return err
	}
	sealed, err := p.sealer.Seal(grantText(b, next), b.place())
	if err != nil {
		return err
	}
	return p.app.Tenant(ctx, b.customer, func(tx *store.Tx) error { return tx.InsertToken(b.id, sealed) })
}

// reseal does what the worker does by itself.
func (p *rotating) reseal(ctx context.Context) error {
	sum, err := (&account.Resealer{DB: p.worker, Opener: p.opener, Vault: p.vault, Log: slog.New(slog.NewTextHandler(os.Stdout, nil))}).Pass(ctx)
	if sum.Failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d values could not be sealed anew", sum.Failed))
	}
	if err == nil {
		fmt.Println("works: sealed anew", sum.Done)
	}
	if sum.Done == 0 { // nothing to do: leave the machine to the others
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return err
}
