package admin

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestStatusText(t *testing.T) {
	s := sample()
	var b strings.Builder
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	local := func(d time.Duration) string { return noon.Add(d).Local().Format(time.DateTime) }
	want := `gatehouse v1.2.3, process 42, serving for 2d2h
configuration /etc/gatehouse/gatehouse.hcl, generation 3 since ` + local(-time.Hour) + `
last reload ` + local(-time.Minute) + `: refused: the configuration before it serves on
12 of 1000 connections

frontend  addresses  connections  requests  under way  bad  refused
www       :80 :443   12           12345     4          3    2

backend webfarm: 1 of 2 servers take newcomers, 12000 requests, 4 under way, 5 retries, 1 failed
  server  address          state  since  weight  under way  idle  requests  errors  check
  webA    192.168.1.11:80  up     1d2h   12      3          7     9000      3       HTTP status 200 after 2 ms
  <b>     192.168.1.12:80  down   1m30s  1       0          0     0         0       backup; connect 192.168.1.12:80: connection refused; weight 1 by the operator (configured: 5)

certificate    tls   ends        in   state
a.test b.test  site  ` + s.Certificates[0].NotAfter.Local().Format(time.DateOnly) + `  40d  valid

log     output                  lines dropped
access  /var/log/gatehouse.log  8
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestTroubles: what waits for a person stands at the end of the text and on the page, as text.
func TestTroubles(t *testing.T) {
	s := sample()
	s.Troubles = []string{"tls site: <a>.pem: is damaged", "tls other: 100% wrong"}
	var b strings.Builder
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if want := "\n\n! tls site: <a>.pem: is damaged\n! tls other: 100% wrong\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("got %q, want %q at its end", b.String(), want)
	}
}

func TestInWords(t *testing.T) {
	for _, tt := range []struct {
		s    Server
		want string
	}{
		{Server{Operator: "ready", Health: "up", Weight: 1, Newcomers: true, Holders: true}, "up"},
		{Server{Operator: "ready", Health: "unchecked", Weight: 1, Newcomers: true, Holders: true}, "up"},
		{Server{Operator: "ready", Health: "unknown", Weight: 1}, "not checked yet"},
		{Server{Operator: "ready", Health: "down", Weight: 1}, "down"},
		{Server{Operator: "ready", Health: "failing", Weight: 1, Holders: true}, "failing: only holders of its cookie come"},
		{Server{Operator: "ready", Health: "up", Weight: 0, Holders: true}, "up, weight 0: only holders of its cookie come"},
		{Server{Operator: "drain", Health: "up", Weight: 1, Holders: true}, "draining: only holders of its cookie come"},
		{Server{Operator: "drain", Health: "down", Weight: 1}, "down, draining"},
		{Server{Operator: "drain", Health: "failing", Weight: 1, Holders: true}, "failing, draining: only holders of its cookie come"},
		{Server{Operator: "maint", Health: "up", Weight: 1}, "in maintenance"},
		{Server{Operator: "maint", Health: "down", Weight: 0}, "in maintenance"},
	} {
		if got := tt.s.InWords(); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.s, got, tt.want)
		}
	}
}

func TestAge(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0s"}, {0, "0s"}, {59 * time.Second, "59s"}, {time.Minute, "1m"}, {61 * time.Second, "1m1s"},
		{time.Hour, "1h"}, {90 * time.Minute, "1h30m"}, {24 * time.Hour, "1d"}, {400*24*time.Hour + 3*time.Hour + time.Minute, "400d3h"},
	} {
		if got := age(tt.d); got != tt.want {
			t.Errorf("age(%v) = %q, want %q", tt.d, got, tt.want)
		}
	}
	if got := left(-time.Second); got != "over" {
		t.Errorf("left of what is over: %q", got)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestStatusTextSaysThatItFails(t *testing.T) {
	if err := sample().WriteText(full{}); err == nil {
		t.Error("nothing could be written, and nobody was told")
	}
}
