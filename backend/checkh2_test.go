package backend

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"gatehouse/backend/h2"
)

// recorded is a connection on which everything has come already.
type recorded struct {
	io.Reader
	said bytes.Buffer
}

func (r *recorded) Write(b []byte) (int, error)  { return r.said.Write(b) }
func (r *recorded) Close() error                 { return nil }
func (r *recorded) SetReadTimeout(time.Duration) {}

// settingsFrame is what every server begins with.
var settingsFrame = h2.AppendFrame(nil, h2.Frame{Type: h2.SettingsFrame})

func TestCheckH2(t *testing.T) {
	head := func(end bool) []byte { return h2.AppendHeaders(nil, 1, h2.AppendStatus(nil, 200), end) }
	data := append(h2.AppendFrame(nil, h2.Frame{Len: 4, Type: h2.Data, Flags: h2.EndStream, Stream: 1}), "fine"...)
	for _, tt := range []struct {
		name   string
		frames [][]byte
		want   string // the answer, or the beginning of the error
	}{
		{"content", [][]byte{settingsFrame, head(false), data}, "HTTP/1.1 200 OK\r\n\r\nfine"},
		{"none", [][]byte{settingsFrame, head(true)}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"interim", [][]byte{settingsFrame, h2.AppendHeaders(nil, 1, h2.AppendStatus(nil, 103), false), head(false), data}, "HTTP/1.1 200 OK\r\n\r\nfine"},
		{"PING", [][]byte{settingsFrame, h2.AppendPing(nil, false, []byte("12345678")), head(false), data}, "HTTP/1.1 200 OK\r\n\r\nfine"},
		{"not SETTINGS", [][]byte{head(true)}, "PROTOCOL_ERROR: the first frame"},
		{"HTTP/1", [][]byte{[]byte("HTTP/1.1 400 Bad Request\r\n\r\n")}, "the server speaks HTTP/1"},
		{"reset", [][]byte{settingsFrame, h2.AppendReset(nil, 1, h2.RefusedStream)}, "the server has ended"},
		{"GOAWAY", [][]byte{settingsFrame, h2.AppendGoAway(nil, 0, h2.NoError)}, "the server has ended"},
		{"nothing", [][]byte{settingsFrame}, "EOF"},
	} {
		c := &checkH2{stream: &recorded{Reader: bytes.NewReader(bytes.Join(tt.frames, nil))}, host: "10.0.0.1:80"}
		if _, err := io.WriteString(c, "GET /health HTTP/1.0\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		got := string(b)
		if err != nil {
			got = err.Error()
		} else if len(b) == 0 {
			got = "EOF"
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func FuzzCheckH2(f *testing.F) {
	f.Add(bytes.Join([][]byte{settingsFrame, h2.AppendHeaders(nil, 1, h2.AppendStatus(nil, 200), true)}, nil))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &checkH2{stream: &recorded{Reader: bytes.NewReader(b)}, host: "a"}
		io.WriteString(c, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
		said, err := io.ReadAll(c)
		if _, ok := statusOf(said); len(said) > 0 && !ok {
			t.Errorf("%q, %v", said, err)
		}
	})
}
