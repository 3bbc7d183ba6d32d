//go:build linux

package main

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestActivationOfHTTP3: a UDP socket that systemd has opened serves HTTP/3 at the bind with its address, also after a restart; the bind that asks
// for a name gets the socket that listens.
func TestActivationOfHTTP3(t *testing.T) {
	dir, address := place(t, http3Site, fine)
	tcp, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	files := make([]*os.File, 2)
	files[0], err = udp.(*net.UDPConn).File()
	if err == nil {
		files[1], err = tcp.(*net.TCPListener).File()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		defer f.Close()
	}
	for range 2 {
		p := launch(t, dir, func(c *exec.Cmd) {
			sh, err := exec.LookPath("sh")
			if err != nil {
				t.Skip("no sh")
			}
			c.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:web exec "$0" "$@"`}, append([]string{c.Path}, c.Args[1:]...)...)
			c.Path, c.ExtraFiles = sh, files
		})
		p.says("serving")
		q, err := http.NewRequest("GET", "https://"+address+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		q.Host = "site.test"
		resp, err := visitor3(t, address).Do(q)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%+v, %v", resp, err)
		}
		resp.Body.Close()
		if strings.Contains(p.talk(), "nobody answers at a socket") || strings.Contains(p.talk(), "quic-go") {
			t.Errorf("says %s", p.talk())
		}
		p.signal(syscall.SIGTERM)
		p.ends(0)
	}
}
