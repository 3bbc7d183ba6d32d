package config

import (
	"io"
	"os"
	"syscall"
	"unsafe"
)

// terminal returns the width of the terminal behind w and whether it is one. Elsewhere the width is 0: lines are not broken.
func terminal(w io.Writer) (width uint, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile {
		return 0, false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, false
	}
	var size struct{ rows, columns, x, y uint16 } // struct winsize of tty_ioctl(4)
	err = raw.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
		ok = errno == 0
	})
	return uint(size.columns), ok && err == nil
}
