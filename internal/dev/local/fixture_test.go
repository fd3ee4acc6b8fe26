package local_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/dev/local"
)

// TestMain lets the test binary be the parent that a test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("LOCAL_TEST_PARENT"); dir != "" {
		parent(dir)
		return
	}
	os.Exit(m.Run())
}

// parent starts the services, says where, and waits to be killed.
func parent(dir string) {
	s, err := local.Start(context.Background(), local.Options{Dir: dir, Private: true})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println(s.PostgresURL, s.RedisURL)
	select {}
}

// enterable is a folder that the servers' user can enter, with blanks in its path.
func enterable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "a clone with spaces ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func options(t *testing.T, dir string) local.Options {
	return local.Options{Dir: dir, Private: true, Log: func(line string) { t.Log(line) }}
}

func start(t *testing.T, o local.Options) *local.Services {
	t.Helper()
	s, err := local.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func sql(t *testing.T, url, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var out string
	if err := conn.QueryRow(t.Context(), query).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func run(t *testing.T, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

// redisSays sends one inline command and returns the first line of the answer that is not a length.
func redisSays(t *testing.T, url, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(url, "redis://"), "/0"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if line := lines.Text(); !strings.HasPrefix(line, "$") && !strings.HasPrefix(line, "*") {
			return line
		}
	}
	return ""
}

// anyProcessNames looks for a process that has the folder in its command line or works in it.
func anyProcessNames(dir string) bool {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range all {
		cmdline, _ := os.ReadFile(proc + "/cmdline")
		cwd, _ := os.Readlink(proc + "/cwd")
		if strings.Contains(string(cmdline), dir) || strings.HasPrefix(cwd, dir) {
			return true
		}
	}
	return false
}

func within(t *testing.T, d time.Duration, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", d, what)
		}
	}
}

// pidFile reads a folder's postmaster.pid, after writing it if there is something to write.
func pidFile(t *testing.T, dir string, content []byte) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "services", "data", "pg*", "postmaster.pid"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if content != nil {
		if err := os.WriteFile(files[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
