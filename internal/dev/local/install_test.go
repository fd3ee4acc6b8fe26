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

func TestOfPrometheusNoPagesAreUnpacked(t *testing.T) {
	t.Parallel()
	plan := `Inst libjs-jquery (3.6.1 Debian:13 [all])
Inst fonts-glyphicons-halflings (1.009 Debian:13 [all])
Inst promtool (2.53.3 Debian:13 [amd64])
Inst prometheus (2.53.3 Debian:13 [amd64])
`
	want := []string{"promtool", "prometheus"}
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

// aptGet stands in for the real one: it knows its package only after an update into a folder of our own, and plans but
// never installs.
const aptGet = `#!/bin/sh
case " $* " in
*Dir::State=*" update ") touch "$FAKE/updated"; echo 'Get:1 lists' ;;
*" -s "*" install "*) [ -e "$FAKE/updated" ] || { echo 'E: Unable to locate package' >&2; exit 100; }
	echo "Inst libjs-jquery (3.6 Debian:12 [all])"
	echo "Inst $PACKAGE (7.0 Debian:12 [amd64])" ;;
*" download $PACKAGE ") cp "$FAKE/$PACKAGE.deb" . ;;
*) exit 1 ;;
esac
`

// fakeApt puts the stand-in onto the PATH, with a package whose program can only tell its version.
func fakeApt(t *testing.T, name, binary, version string) {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("no dpkg-deb on this machine: packages cannot be unpacked here")
	}
	dir := t.TempDir()
	files := map[string]string{
		"apt-get":                      aptGet,
		"deb/DEBIAN/control":           "Package: " + name + "\nVersion: 7.0\nArchitecture: all\nMaintainer: test <test@localhost>\nDescription: test\n",
		"deb/usr/bin/" + binary:        "#!/bin/sh\necho '" + version + "'\n",
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
	if out, err := exec.Command("dpkg-deb", "-b", dir+"/deb", dir+"/"+name+".deb").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("FAKE", dir)
	t.Setenv("PACKAGE", name)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestAPlainUserGetsPackagesUnpacked(t *testing.T) {
	fakeApt(t, "redis-server", "redis-server", "Redis server v=7.0.99 sha=0")
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
	for _, want := range []string{"nothing is installed", "lists are absent", "Get:1", "downloading redis-server", "unpacking redis-server.deb"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &said)
		}
	}
}

// onlyPath leaves nothing on the PATH but these programs, whatever else the machine has.
func onlyPath(t *testing.T, names ...string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
}

func TestPromtoolIsUnpackedAndNeverInstalled(t *testing.T) {
	fakeApt(t, "prometheus", "promtool", "promtool, version 2.42.0+ds (branch: debian/sid)")
	onlyPath(t, "apt-get", "dpkg-deb", "tar", "cp", "touch")
	o := Options{Dir: filepath.Join(t.TempDir(), "a clone")}
	want := filepath.Join(o.Dir, "debs/prometheus/usr/bin/promtool")
	if got, err := Promtool(t.Context(), o); err != nil || got != want {
		t.Fatalf("found %q, %v", got, err)
	}
	onlyPath(t)
	if got, err := Promtool(t.Context(), o); err != nil || got != want {
		t.Errorf("without apt-get it is not found again: %q, %v", got, err)
	}
	o.Dir = t.TempDir()
	if _, err := Promtool(t.Context(), o); err == nil || !strings.Contains(err.Error(), "promtool is missing") {
		t.Errorf("error is %v", err)
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
