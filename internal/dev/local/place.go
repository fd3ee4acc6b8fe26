package local

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that servers run as when this process is root: PostgreSQL refuses root.
type account struct {
	name     string
	uid, gid int
}

// serverAccount is nil for a plain user, who runs the servers as himself.
func serverAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.Atoi(u.Uid)
		gid, errG := strconv.Atoi(u.Gid)
		if errU == nil && errG == nil && uid != 0 {
			return &account{name: name, uid: uid, gid: gid}, nil
		}
	}
	return nil, errors.New("as root the servers run as user postgres or nobody, and there is neither")
}

func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

// canEnter asks the kernel, which knows of access lists and mounts what mode bits do not tell.
func (a *account) canEnter(dir string) bool {
	if a == nil {
		return true
	}
	cmd := exec.Command("true")
	cmd.Dir, cmd.SysProcAttr = dir, childAttr(a, 0)
	return cmd.Run() == nil
}

// place is one run's folder: lock, logs and password of ours, and data, which belongs to the servers' user.
type place struct {
	dir   string
	data  string
	as    *account
	fresh bool
	lock  *os.File
}

// openPlace takes the first folder that no living process holds. What a killed run left there is wiped if throw-away
// and used again if not.
func openPlace(o Options) (*place, error) {
	as, err := serverAccount()
	if err != nil {
		return nil, err
	}
	base, err := baseDir(o, as)
	if err != nil {
		return nil, err
	}
	name := "services"
	if o.Fresh {
		name = "fresh"
	}
	for n := 1; n <= 100; n++ {
		dir := filepath.Join(base, name)
		if n > 1 {
			dir = filepath.Join(base, fmt.Sprintf("%s-%d", name, n))
		}
		lock, err := lockDir(dir)
		if err != nil {
			return nil, fmt.Errorf("use the folder %s: %w", dir, err)
		}
		if lock == nil {
			continue
		}
		if n > 1 && !o.Fresh {
			o.log("another run uses %s: this one has data of its own in %s", filepath.Join(base, name), dir)
		}
		p := &place{dir: dir, data: filepath.Join(dir, "data"), as: as, fresh: o.Fresh, lock: lock}
		if err := p.prepare(); err != nil {
			p.close()
			return nil, fmt.Errorf("use the folder %s: %w", dir, err)
		}
		return p, nil
	}
	return nil, fmt.Errorf("a hundred runs hold the folders %s/%s-*", base, name)
}

func (p *place) prepare() error {
	if p.fresh {
		if err := p.wipe(); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(p.data, 0o700); err != nil {
		return err
	}
	return p.as.takeOver(p.data)
}

// takeOver gives a tree to the servers' user when another one owns it (a clone used by root and by a plain user).
func (a *account) takeOver(tree string) error {
	if a == nil {
		return nil
	}
	info, err := os.Stat(tree)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) == a.uid {
		return nil
	}
	return filepath.WalkDir(tree, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return a.own(path)
	})
}

// wipe leaves the lock: removing it would let two processes hold "the" lock.
func (p *place) wipe() error {
	for _, name := range []string{"data", "password", "postgres.log", "redis.log"} {
		if err := os.RemoveAll(filepath.Join(p.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func (p *place) close() {
	if p.fresh {
		_ = p.wipe() // the next throw-away run wipes what is left
	}
	_ = p.lock.Close()
}

// baseDir is o.Dir, or for root with a closed home a private folder in /var/tmp, or in memory one in memory; each is the same at each run.
func baseDir(o Options, as *account) (string, error) {
	base := o.Dir
	if o.InMemory && o.Fresh && roomy(memory) {
		open, err := privateDir(memory, base)
		if err == nil && as.canEnter(open) {
			return open, nil
		}
		o.log("data are not kept in memory: %v", cmp.Or(err, fmt.Errorf("user %s cannot enter %s", as.name, open)))
	}
	if err := makeDir(base); err != nil {
		return "", err
	}
	if as.canEnter(base) {
		return base, nil
	}
	open, err := privateDir("/var/tmp", base)
	if err != nil {
		return "", err
	}
	if !as.canEnter(open) {
		return "", fmt.Errorf("user %s can enter neither %s nor %s", as.name, base, open)
	}
	o.log("user %s cannot enter %s: data lie in %s", as.name, base, open)
	return open, nil
}

// memory is where Linux keeps files in memory, and room how many bytes must be free there.
const (
	memory = "/dev/shm"
	room   = 4 << 30
)

func roomy(dir string) bool {
	var fs syscall.Statfs_t
	return syscall.Statfs(dir, &fs) == nil && fs.Bavail*uint64(fs.Bsize) >= room
}

// privateDir is a folder of this user's in one that everybody may write to; its name tells whose data it stands for.
func privateDir(parent, base string) (string, error) {
	open := filepath.Join(parent, fmt.Sprintf("mailsweep-%x", sha256.Sum256(fmt.Appendf(nil, "%d %s", os.Geteuid(), base)))[:20])
	if err := makeDir(open); err != nil {
		return "", err
	}
	// A stranger may have made it first; what he owns, or may write to, is not ours.
	info, err := os.Lstat(open)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(st.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s belongs to somebody else: remove it", open)
	}
	return open, nil
}

// makeDir makes what is missing of a folder that others may enter, whatever the umask says.
func makeDir(dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// lockDir returns nil when another process holds the folder. The lock ends with the process that took it; children do
// not inherit it.
func lockDir(dir string) (*os.File, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, err
}
