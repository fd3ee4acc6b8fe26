package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldest is the oldest PostgreSQL that the migrations are known to suit.
const oldest = 14

// program is an installed server: the folder of its binaries and the environment they need.
type program struct {
	name    string
	dir     string
	version string
	libs    []string // folders for LD_LIBRARY_PATH, where the package was only unpacked
}

// major is the version's first number.
func (p *program) major() string {
	major, _, _ := strings.Cut(p.version, ".")
	return major
}

// command runs one of the program's binaries in dir, with nothing of our own environment: no secrets, no PG* variable
// that would turn the server elsewhere. Standard input is empty.
func (p *program) command(dir, binary string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.dir, binary), args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=" + dir}
	if len(p.libs) > 0 {
		cmd.Env = append(cmd.Env, "LD_LIBRARY_PATH="+strings.Join(p.libs, ":"))
	}
	return cmd
}

// programs finds what is wanted, after installing what is missing.
func (o Options) programs(ctx context.Context, postgres, redis bool) (pg, rd *program, err error) {
	pg, rd, missing, err := o.find(postgres, redis)
	if err != nil || len(missing) == 0 {
		return pg, rd, err
	}
	unlock, err := o.lockInstall(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	if _, _, missing, err = o.find(postgres, redis); err != nil { // another process may have installed them meanwhile
		return nil, nil, err
	}
	if len(missing) > 0 {
		if err := o.install(ctx, missing); err != nil {
			return nil, nil, byHand(missing, err)
		}
	}
	pg, rd, missing, err = o.find(postgres, redis)
	if err == nil && len(missing) > 0 {
		err = byHand(missing, errors.New("they were installed, but still cannot be run"))
	}
	return pg, rd, err
}

// byHand is the error that names the line to type.
func byHand(packages []string, err error) error {
	names := strings.Join(packages, " ")
	return fmt.Errorf("%s missing and not installed (%w). Type this line and try again:\n    sudo apt-get install -y --no-install-recommends %s\n"+
		"or name running servers in DATABASE_URL and REDIS_URL", names, err, names)
}

func (o Options) find(postgres, redis bool) (pg, rd *program, missing []string, err error) {
	if postgres {
		if pg, err = o.findPostgres(); err != nil {
			return nil, nil, nil, err
		}
		if pg == nil {
			missing = append(missing, "postgresql")
		}
	}
	if redis {
		if rd = o.findRedis(); rd == nil {
			missing = append(missing, "redis-server")
		}
	}
	return pg, rd, missing, nil
}

// findPostgres looks in PG_BIN alone if that is set, else at pg_config, then at the usual places, newest first.
func (o Options) findPostgres() (*program, error) {
	if dir := os.Getenv("PG_BIN"); dir != "" {
		p := probe("postgres", dir, nil)
		if p == nil || !executable(filepath.Join(dir, "initdb")) {
			return nil, fmt.Errorf("PG_BIN=%s holds no postgres and initdb that run", dir)
		}
		return p, nil
	}
	dirs := []string{pgConfigDir()}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin", "/Applications/Postgres.app/Contents/Versions/*/bin"} {
		dirs = append(dirs, newestFirst(pattern)...)
	}
	for _, dir := range dirs {
		if p := usablePostgres(dir, nil); p != nil {
			return p, nil
		}
	}
	root := o.unpackedRoot("postgresql")
	for _, dir := range newestFirst(filepath.Join(globSafe(root), "usr/lib/postgresql/*/bin")) {
		if p := usablePostgres(dir, libraries(root)); p != nil {
			return p, nil
		}
	}
	return nil, nil
}

func usablePostgres(dir string, libs []string) *program {
	if dir == "" || !executable(filepath.Join(dir, "initdb")) {
		return nil
	}
	p := probe("postgres", dir, libs)
	if p == nil {
		return nil
	}
	if major, err := strconv.Atoi(p.major()); err != nil || major < oldest {
		return nil
	}
	return p
}

func pgConfigDir() string {
	out, err := exec.Command("pg_config", "--bindir").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func (o Options) findRedis() *program {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			if p := probe(name, filepath.Dir(path), nil); p != nil {
				return p
			}
		}
	}
	root := o.unpackedRoot("redis-server")
	return probe("redis-server", filepath.Join(root, "usr/bin"), libraries(root))
}

var versionNumber = regexp.MustCompile(`(?:PostgreSQL\) |v=|promtool, version )(\d+(?:\.\d+)*)`)

// probe runs the binary for its version: what cannot say it has a library missing or is another program.
func probe(name, dir string, libs []string) *program {
	dir, err := filepath.Abs(dir)
	if err != nil || !executable(filepath.Join(dir, name)) {
		return nil
	}
	p := &program{name: name, dir: dir, libs: libs}
	out, err := p.command("/", name, "--version").Output()
	found := versionNumber.FindSubmatch(out)
	if err != nil || found == nil {
		return nil
	}
	p.version = string(found[1])
	return p
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

var digits = regexp.MustCompile(`\d+(?:\.\d+)?`)

// newestFirst sorts by the version number in the path's matched part.
func newestFirst(pattern string) []string {
	dirs, _ := filepath.Glob(pattern) // fails only on a malformed pattern
	version := func(dir string) float64 {
		all := digits.FindAllString(dir, -1)
		if len(all) == 0 {
			return 0
		}
		v, _ := strconv.ParseFloat(all[len(all)-1], 64) // digits match the expression
		return v
	}
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Compare(version(b), version(a)) })
	return dirs
}

// globSafe quotes what a folder's name may hold that a pattern gives a meaning to.
func globSafe(path string) string {
	return regexp.MustCompile(`[*?\[\\]`).ReplaceAllString(path, `\$0`)
}

func libraries(root string) []string {
	var dirs []string
	for _, pattern := range []string{"usr/lib/*-linux-*", "lib/*-linux-*"} {
		found, _ := filepath.Glob(filepath.Join(globSafe(root), pattern)) // fails only on a malformed pattern
		dirs = append(dirs, found...)
	}
	return dirs
}
