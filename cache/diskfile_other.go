//go:build !linux

package cache

import (
	"os"
	"syscall"
)

// openFile opens a file for reading. path ends with a zero byte. now is refused: nobody can say how long it will take.
func openFile(path []byte, now bool) (fd int, err error) {
	if now {
		return -1, errWouldWait
	}
	for {
		fd, err = syscall.Open(string(path[:len(path)-1]), syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NOFOLLOW, 0)
		switch err {
		case syscall.EINTR:
		case syscall.ENOENT:
			return -1, os.ErrNotExist
		default:
			return fd, err
		}
	}
}

// ioVec is scratch memory of readFile elsewhere.
type ioVec struct{}

// readFile reads from a place of a file, 0 bytes at its end.
func readFile(_ *ioVec, fd int, b []byte, at int64, now bool) (int, error) {
	if now {
		return 0, errWouldWait
	}
	for {
		n, err := syscall.Pread(fd, b, at)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func closeFile(fd int) { syscall.Close(fd) }
