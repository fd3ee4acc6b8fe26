package local

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestOnlyWhatAServerNeedsIsUnpacked(t *testing.T) {
	t.Parallel()
	plan := `Inst libjson-perl (4.1 Debian:12 [all])
Inst libpq5 (15.1 Debian:12 [amd64])
Inst libc6 [2.36-1] (2.36-2 Debian:12 [amd64])
Inst libllvm14 (1:14 Debian:12 [amd64])
Inst postgresql-common (248 Debian:12 [all])
Inst postgresql-client-15 (15.1 Debian:12 [amd64])
Inst postgresql-15 (15.1 Debian:12 [amd64])
Inst postgresql (15 Debian:12 [all])
Conf libpq5 (15.1 Debian:12 [amd64])
`
	want := []string{"libpq5", "postgresql-client-15", "postgresql-15"}
	if got := neededFrom(plan); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestTheNewestVersionIsTriedFirst(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "a [clone] 2")
	for _, v := range []string{"9.6", "15", "14", "100"} {
		if err := os.MkdirAll(filepath.Join(root, v, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, dir := range newestFirst(globSafe(root) + "/*/bin") {
		got = append(got, filepath.Base(filepath.Dir(dir)))
	}
	if want := []string{"100", "15", "14", "9.6"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// aptGet stands in for the real one: it knows its packages only after an update into a folder of our own.
const aptGet = `#!/bin/sh
case "$*" in
*Dir::State=*update) touch "$FAKE/updated"; echo 'Get:1 lists' ;;
*install*) [ -e "$FAKE/updated" ] || { echo 'E: Unable to locate package' >&2; exit 100; }
	echo 'Inst redis-server (7.0 Debian:12 [amd64])' ;;
*download*) cp "$FAKE/redis-server.deb" . ;;
*) exit 1 ;;
esac
`

// fakeApt puts the stand-in onto the PATH, with a package whose server can only tell its version.
func fakeApt(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("no dpkg-deb on this machine: packages cannot be unpacked here")
	}
	dir := t.TempDir()
	files := map[string]string{
		"apt-get":                      aptGet,
		"deb/DEBIAN/control":           "Package: redis-server\nVersion: 7.0\nArchitecture: all\nMaintainer: test <test@localhost>\nDescription: test\n",
		"deb/usr/bin/redis-server":     "#!/bin/sh\necho 'Redis server v=7.0.99 sha=0'\n",
		"deb/usr/lib/x-linux-gnu/l.so": "",
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("dpkg-deb", "-b", dir+"/deb", dir+"/redis-server.deb").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("FAKE", dir)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestAPlainUserGetsPackagesUnpacked(t *testing.T) {
	fakeApt(t)
	var said strings.Builder
	o := Options{Dir: filepath.Join(t.TempDir(), "a clone"), Log: func(line string) { said.WriteString(line + "\n") }}
	if err := o.unpack(context.Background(), "redis-server"); err != nil {
		t.Fatal(err)
	}
	root := o.unpackedRoot("redis-server")
	p := probe("redis-server", filepath.Join(root, "usr/bin"), libraries(root))
	if p == nil || p.version != "7.0.99" || len(p.libs) != 1 {
		t.Errorf("found %+v", p)
	}
	if left, _ := filepath.Glob(root + ".new"); len(left) > 0 {
		t.Error("the working folder is left")
	}
	for _, want := range []string{"not root", "lists are absent", "Get:1", "downloading redis-server", "unpacking redis-server.deb"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &said)
		}
	}
}

func TestWhatCannotBeInstalledNamesTheLineToType(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("PG_BIN", "")
	o := Options{Dir: filepath.Join(t.TempDir(), "dev")}
	_, _, err := o.programs(context.Background(), false, true)
	if err == nil || !strings.Contains(err.Error(), "sudo apt-get install -y --no-install-recommends redis-server\n") {
		t.Errorf("error is %v", err)
	}
}

func TestAServerSeesNothingOfOurEnvironment(t *testing.T) {
	t.Setenv("PGOPTIONS", "-c port=1")
	t.Setenv("DATABASE_URL", "postgres://secret")
	p := &program{dir: "/usr/bin", libs: []string{"/a b/lib"}}
	out, err := p.command("/", "env").Output()
	if err != nil {
		t.Fatal(err)
	}
	if s := string(out); strings.Contains(s, "PGOPTIONS") || strings.Contains(s, "secret") || !strings.Contains(s, "LD_LIBRARY_PATH=/a b/lib\n") {
		t.Errorf("it sees\n%s", s)
	}
}
