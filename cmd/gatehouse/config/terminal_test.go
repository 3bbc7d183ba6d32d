package config

import (
	"bytes"
	"os"
	"syscall"
	"testing"
	"unsafe"
)

func TestTerminal(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if width, ok := terminal(f); ok || width != 0 {
		t.Errorf("a file is a terminal %d wide", width)
	}
	if width, ok := terminal(new(bytes.Buffer)); ok || width != 0 {
		t.Errorf("a buffer is a terminal %d wide", width)
	}

	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal to try: %v", err)
	}
	defer tty.Close()
	size := [4]uint16{24, 97, 0, 0}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, tty.Fd(), syscall.TIOCSWINSZ, uintptr(unsafe.Pointer(&size))); errno != 0 {
		t.Fatal(errno)
	}
	if width, ok := terminal(tty); !ok || width != 97 {
		t.Errorf("a terminal 97 wide: %d, %v", width, ok)
	}
}
