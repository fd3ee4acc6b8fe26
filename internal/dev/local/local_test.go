package local_test

import (
	"bufio"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/dev/local"
)

func TestTwoRunsOfOneCloneHaveDataOfTheirOwn(t *testing.T) {
	t.Parallel()
	dir := enterable(t)
	a, b := start(t, options(t, dir)), start(t, options(t, dir))
	run(t, a.PostgresURL, "CREATE TABLE mine ()")
	if got := sql(t, b.PostgresURL, "SELECT coalesce(to_regclass('mine')::text, 'absent')"); got != "absent" {
		t.Errorf("the second run sees the first one's table: %s", got)
	}
	redisSays(t, a.RedisURL, "SET k v")
	if got := redisSays(t, b.RedisURL, "EXISTS k"); got != ":0" {
		t.Errorf("the second run sees the first one's key: %s", got)
	}
}

func TestDataOutliveStopUnlessFresh(t *testing.T) {
	t.Parallel()
	for _, fresh := range []bool{false, true} {
		o := options(t, enterable(t))
		o.Fresh = fresh
		s := start(t, o)
		run(t, s.PostgresURL, "CREATE TABLE kept ()")
		redisSays(t, s.RedisURL, "SET k v")
		s.Stop()
		s = start(t, o)
		want := map[bool][2]string{false: {"kept", ":1"}, true: {"absent", ":0"}}[fresh]
		if got := sql(t, s.PostgresURL, "SELECT coalesce(to_regclass('kept')::text, 'absent')"); got != want[0] {
			t.Errorf("fresh=%v: table is %s, want %s", fresh, got, want[0])
		}
		if got := redisSays(t, s.RedisURL, "EXISTS k"); got != want[1] {
			t.Errorf("fresh=%v: key exists %s, want %s", fresh, got, want[1])
		}
		s.Stop()
	}
}

func TestSettingsAreWhatTheProductNeeds(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, enterable(t)))
	for name, want := range map[string]string{"server_encoding": "UTF8", "lc_collate": "C", "password_encryption": "scram-sha-256",
		"fsync": "off", "max_connections": "200", "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "synchronous_commit": "on"} {
		if got := sql(t, s.PostgresURL, "SELECT current_setting('"+name+"')"); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := sql(t, s.PostgresURL, "SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user"); got != "true" {
		t.Error("the login is no superuser")
	}
	if _, err := pgx.Connect(t.Context(), strings.Replace(s.PostgresURL, "postgres:", "postgres:x", 2)); err == nil {
		t.Error("a wrong password is let in")
	}
	if info := redisSays(t, s.RedisURL, "CONFIG GET maxmemory-policy"); info != "maxmemory-policy" {
		t.Errorf("CONFIG GET answers %q", info)
	}
}

func TestChildrenDieWithAKilledParentAndItsDataAreUsedAgain(t *testing.T) {
	t.Parallel()
	dir := enterable(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LOCAL_TEST_PARENT="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error") {
		t.Fatal(line, err)
	}
	urls := strings.Fields(line)
	run(t, urls[0], "CREATE TABLE kept ()")
	redisSays(t, urls[1], "SET k v")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	within(t, 5*time.Second, "children of a killed parent are gone", func() bool { return !anyProcessNames(dir) })

	s := start(t, options(t, dir))
	if got := sql(t, s.PostgresURL, "SELECT coalesce(to_regclass('kept')::text, 'absent')"); got != "kept" {
		t.Error("the table is lost")
	}
	if got := redisSays(t, s.RedisURL, "EXISTS k"); got != ":1" {
		t.Error("the key is lost")
	}
}

// A process number is given again: here to the PostgreSQL of another folder.
func TestAPidFileThatNamesAStrangerIsForgotten(t *testing.T) {
	t.Parallel()
	dir, other := enterable(t), enterable(t)
	s, stranger := start(t, options(t, dir)), start(t, options(t, other))
	s.Postgres.Kill()
	s.Stop()
	number, _, _ := strings.Cut(string(pidFile(t, other, nil)), "\n")
	_, rest, _ := strings.Cut(string(pidFile(t, dir, nil)), "\n")
	pidFile(t, dir, []byte(number+"\n"+rest))
	start(t, options(t, dir))
	if got := sql(t, stranger.PostgresURL, "SELECT 'x'"); got != "x" {
		t.Error("the stranger was ended")
	}
}

func TestAFreshStartWipesWhatAKilledRunLeft(t *testing.T) {
	t.Parallel()
	dir := enterable(t)
	o := options(t, dir)
	o.Fresh = true
	start(t, o).Stop()
	left := filepath.Join(dir, "fresh", "data", "left")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, o)
	if _, err := os.Stat(left); err == nil {
		t.Error("it is still there")
	}
}

func TestKilledServerComesBackOnItsPortWithItsData(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, enterable(t)))
	run(t, s.PostgresURL, "CREATE TABLE kept ()")
	redisSays(t, s.RedisURL, "SET k v")
	for _, server := range []*local.Server{s.Postgres, s.Redis} {
		server.Kill()
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := sql(t, s.PostgresURL, "SELECT coalesce(to_regclass('kept')::text, 'absent')"); got != "kept" {
		t.Error("the table is lost")
	}
	if got := redisSays(t, s.RedisURL, "EXISTS k"); got != ":1" {
		t.Error("the key is lost")
	}
	select {
	case err := <-s.Exited():
		t.Errorf("a kill that was asked for is told as an accident: %v", err)
	default:
	}
}

func TestAStartThatHasToBeTriedAgainIsNoAccident(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, enterable(t)))
	at, err := url.Parse(s.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	s.Redis.Kill()
	taken, err := net.Listen("tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(500*time.Millisecond, func() { taken.Close() })
	if err := s.Redis.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-s.Exited():
		t.Errorf("the first try is told as an accident: %v", err)
	default:
	}
}

func TestAServerThatDiesByItselfIsTold(t *testing.T) {
	t.Parallel()
	s := start(t, options(t, enterable(t)))
	redisSays(t, s.RedisURL, "SHUTDOWN NOSAVE")
	select {
	case err := <-s.Exited():
		if !strings.Contains(err.Error(), "Redis ended unexpectedly") {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("nothing told within 5 s")
	}
}

func TestAFailedStartShowsTheServersLastLines(t *testing.T) {
	t.Parallel()
	dir := enterable(t)
	o := options(t, dir)
	start(t, o).Stop()
	files, _ := filepath.Glob(filepath.Join(dir, "services", "data", "pg*", "postgresql.conf"))
	if err := os.WriteFile(files[0], []byte("no_such_setting = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := local.Start(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("error is %v", err)
	}
}

func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var all strings.Builder
	o := local.Options{Dir: enterable(t), Private: true, Log: func(line string) {
		mu.Lock()
		defer mu.Unlock()
		all.WriteString(line + "\n")
	}}
	s := start(t, o)
	mu.Lock()
	defer mu.Unlock()
	password := strings.SplitN(strings.SplitN(s.PostgresURL, "@", 2)[0], ":", 3)[2]
	if strings.Contains(all.String(), password) || len(password) < 20 {
		t.Errorf("password %q, log:\n%s", password, &all)
	}
}

func TestGivenAddressesAreUsedAndNothingIsStarted(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://somewhere/db")
	t.Setenv("REDIS_URL", "redis://somewhere/0")
	s, err := local.Start(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "dev")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if s.PostgresURL != "postgres://somewhere/db" || s.RedisURL != "redis://somewhere/0" || s.Postgres != nil || s.Redis != nil {
		t.Errorf("%+v", s)
	}
}

func TestPGBinWithoutAServerIsAnError(t *testing.T) {
	t.Setenv("PG_BIN", t.TempDir())
	_, err := local.StartPostgres(t.Context(), options(t, enterable(t)))
	if err == nil || !strings.Contains(err.Error(), "PG_BIN") {
		t.Errorf("error is %v", err)
	}
}

func TestRootUsesAnOpenFolderWhenItsOwnIsClosed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root runs the servers as another user")
	}
	closed := enterable(t)
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	var said string
	o := local.Options{Dir: filepath.Join(closed, "dev"), Private: true, Fresh: true, Log: func(line string) {
		if strings.Contains(line, "cannot enter") {
			said = line
		}
	}}
	s := start(t, o)
	sql(t, s.PostgresURL, "SELECT 'x'")
	if said == "" {
		t.Fatal("it does not say where the data lie")
	}
	open := said[strings.LastIndex(said, " ")+1:]
	info, err := os.Stat(open)
	if err != nil || info.Mode().Perm()&0o022 != 0 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("%s: %v %v", open, info, err)
	}
	s.Stop()
	_ = os.RemoveAll(open)
}
