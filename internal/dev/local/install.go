package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// lockInstall lets one process at a time install; the others wait and find the work done.
func (o Options) lockInstall(ctx context.Context) (unlock func(), err error) {
	for {
		f, err := lockDir(filepath.Join(o.Dir, "debs"))
		if err != nil {
			return nil, fmt.Errorf("lock the installation: %w", err)
		}
		if f != nil {
			return func() { _ = f.Close() }, nil
		}
		if pause(ctx, 200*time.Millisecond); ctx.Err() != nil {
			return nil, fmt.Errorf("wait for another installation: %w", ctx.Err())
		}
	}
}

// unpackedRoot is where the copy of a package and its libraries lies that was unpacked instead of installed.
func (o Options) unpackedRoot(name string) string {
	return filepath.Join(o.Dir, "debs", name)
}

// Install puts Debian packages onto the machine as root; a plain user gets the error with the line to type.
func Install(ctx context.Context, o Options, packages ...string) error {
	if os.Geteuid() != 0 {
		return byHand(packages, errors.New("this is not root"))
	}
	if err := o.aptInstall(ctx, packages); err != nil {
		return byHand(packages, err)
	}
	return nil
}

func (o Options) install(ctx context.Context, packages []string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("there is no apt-get here")
	}
	if os.Geteuid() == 0 {
		return o.aptInstall(ctx, packages)
	}
	for _, name := range packages {
		if err := o.unpack(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// aptInstall installs as root. The packages' own services are kept from starting: ours are private children.
func (o Options) aptInstall(ctx context.Context, packages []string) error {
	o.log("%s missing: installing with apt-get (once; a minute or two)", strings.Join(packages, " "))
	restore, err := holdServices()
	if err != nil {
		return err
	}
	defer restore()
	args := append([]string{"install", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=180"}, packages...)
	if err := o.run(ctx, "", "apt-get", args...); err == nil {
		return nil
	}
	o.log("the package lists are absent or old: apt-get update")
	if err := o.run(ctx, "", "apt-get", "update"); err != nil {
		return err
	}
	return o.run(ctx, "", "apt-get", args...)
}

const policyFile = "/usr/sbin/policy-rc.d"

// holdServices places Debian's hook that forbids starting services, unless the machine has one of its own. The hook
// forbids only while this process lives, so that a killed run leaves no machine without services.
func holdServices() (restore func(), err error) {
	const mark = "# made by the Mailsweep launcher"
	if old, err := os.ReadFile(policyFile); err == nil && !strings.Contains(string(old), mark) {
		return func() {}, nil
	}
	script := fmt.Sprintf("#!/bin/sh\n%s\nkill -0 %d 2>/dev/null && exit 101\nexit 0\n", mark, os.Getpid())
	if err := os.WriteFile(policyFile, []byte(script), 0o755); err != nil {
		return nil, fmt.Errorf("keep the packages' services from starting: %w", err)
	}
	return func() { _ = os.Remove(policyFile) }, nil // what stays allows everything once we are gone
}

// unpack fetches a package and those of its libraries that the machine lacks, for which a plain user will do, and unpacks
// them into one folder, which gets its name only when whole.
func (o Options) unpack(ctx context.Context, name string) error {
	o.log("%s is missing: unpacking it into %s, nothing is installed (once; a minute or two)", name, o.unpackedRoot(name))
	for _, tool := range []string{"dpkg-deb", "apt-get"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("there is no %s here", tool)
		}
	}
	work, err := filepath.Abs(o.unpackedRoot(name) + ".new")
	if err != nil {
		return err
	}
	archives := filepath.Join(work, "archives")
	if err := errors.Join(os.RemoveAll(work), os.MkdirAll(archives, 0o755)); err != nil {
		return err
	}
	if err := o.download(ctx, name, archives); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(globSafe(archives), "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		o.log("unpacking %s", filepath.Base(deb))
		if err := o.run(ctx, work, "dpkg-deb", "-x", deb, filepath.Join(work, "root")); err != nil {
			return err
		}
	}
	final := o.unpackedRoot(name)
	return errors.Join(os.RemoveAll(final), os.Rename(filepath.Join(work, "root"), final), os.RemoveAll(work))
}

// download asks apt with the machine's package lists, and if those are absent or old with lists of our own.
func (o Options) download(ctx context.Context, name, archives string) error {
	err := o.downloadWith(ctx, name, archives, nil)
	if err == nil || ctx.Err() != nil {
		return err
	}
	o.log("the package lists are absent or old: apt-get update into a folder of our own")
	// apt takes no blank in these paths.
	state, err := os.MkdirTemp("", "mailsweep-apt-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	for _, dir := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(state, dir), 0o755); err != nil {
			return err
		}
	}
	own := []string{"-o", "Dir::State=" + state + "/state", "-o", "Dir::Cache=" + state + "/cache"}
	if status := dpkgStatus(); status != "" {
		own = append(own, "-o", "Dir::State::status="+status)
	}
	if err := o.run(ctx, archives, "apt-get", append(own, "update")...); err != nil {
		return err
	}
	return o.downloadWith(ctx, name, archives, own)
}

// dpkgStatus is where this machine records what is installed.
func dpkgStatus() string {
	out, err := exec.Command("apt-config", "shell", "S", "Dir::State::status/f").Output()
	if err != nil {
		return ""
	}
	_, quoted, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
	return strings.Trim(quoted, "'")
}

func (o Options) downloadWith(ctx context.Context, name, archives string, options []string) error {
	args := append(slices.Clone(options), "-s", "-o", "Debug::NoLocking=1", "install", "--no-install-recommends", name)
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	plan, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("ask apt-get what %s needs: %w: %s", name, err, strings.TrimSpace(complaints.String()))
	}
	packages := neededFrom(string(plan))
	if len(packages) == 0 {
		return fmt.Errorf("apt-get says that %s is installed, but its programs do not run", name)
	}
	o.log("downloading %s", strings.Join(packages, " "))
	return o.run(ctx, archives, "apt-get", append(append(slices.Clone(options), "download"), packages...)...)
}

var (
	planned = regexp.MustCompile(`(?m)^Inst (\S+)`)
	wanted  = regexp.MustCompile(`^(lib.*|postgresql-\d+|postgresql-client-\d+|redis-server|redis-tools|valkey-server|valkey-tools|prometheus|promtool|chromium|chromium-common|fonts-dejavu-core)$`)
	// Perl serves Debian's wrappers, LLVM the compiler of queries that we switch off, scripts the pages of Prometheus; the
	// C library must match the machine's own loader.
	unneeded = regexp.MustCompile(`^(lib.*-perl|libperl.*|libjs-.*|libllvm.*|libz3-.*|libc6|libc-bin|libc-l10n|libpam.*|libsystemd-shared)$`)
)

// neededFrom picks from apt's plan what a program needs in order to run without being installed.
func neededFrom(plan string) []string {
	var names []string
	for _, m := range planned.FindAllStringSubmatch(plan, -1) {
		if wanted.MatchString(m[1]) && !unneeded.MatchString(m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

var worthShowing = regexp.MustCompile(`^(Get:|Err:|Need to get|Fetched|Unpacking|Setting up|E:|W: Failed)`)

// run shows the lines that tell progress and puts the last ones into the error. Ctrl-C reaches the program as one
// polite interrupt: a package manager killed half way leaves the machine in need of repair.
func (o Options) run(ctx context.Context, dir, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	last := make(chan []string)
	go func() { last <- o.relay(r) }()
	err := cmd.Run()
	_ = w.Close() // never fails
	lines := <-last
	if err != nil {
		return fmt.Errorf("%s %s: %w:\n%s", program, strings.Join(args, " "), err, strings.Join(lines, "\n"))
	}
	return nil
}

// relay returns the last lines.
func (o Options) relay(r io.Reader) []string {
	var last []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if worthShowing.MatchString(line) {
			o.log("  %s", line)
		}
		last = append(last[max(0, len(last)-9):], line)
	}
	_, _ = io.Copy(io.Discard, r) // after an overlong line the program must still be able to write
	return last
}
