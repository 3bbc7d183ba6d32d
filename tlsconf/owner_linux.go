package tlsconf

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives f the owner and the group that a file has, as far as this process may.
func keepOwner(f *os.File, info fs.FileInfo) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		if f.Chown(int(s.Uid), int(s.Gid)) != nil {
			f.Chown(-1, int(s.Gid)) // a group it is a member of
		}
	}
}
