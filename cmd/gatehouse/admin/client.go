package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"
)

// ErrNotRunning says that nobody listens on a socket.
var ErrNotRunning = errors.New("no gatehouse is running there")

// Client asks a running gatehouse through its socket.
type Client struct {
	path string
	http http.Client
}

// Dial returns a client for a socket. It does not connect yet. Close it.
func Dial(path string) *Client {
	c := &Client{path: path}
	c.http.Transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}
	return c
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks how things are.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	var s Status
	return &s, c.ask(ctx, "GET", "/status", nil, &s)
}

// Reload asks for the configuration to be read anew, and waits until that is done or refused.
func (c *Client) Reload(ctx context.Context) (*Outcome, error) {
	var o Outcome
	return &o, c.ask(ctx, "POST", "/reload", nil, &o)
}

// Obey gives an order.
func (c *Client) Obey(ctx context.Context, order Order) (*Obeyed, error) {
	var o Obeyed
	return &o, c.ask(ctx, "POST", "/server", order, &o)
}

// Purge makes caches forget.
func (c *Client) Purge(ctx context.Context, order Purge) (*Purged, error) {
	var p Purged
	return &p, c.ask(ctx, "POST", "/cache", order, &p)
}

// List asks what caches remember.
func (c *Client) List(ctx context.Context, listing Listing) (*Listed, error) {
	var l Listed
	return &l, c.ask(ctx, "POST", "/cache/list", listing, &l)
}

// ask sends a question and reads the answer. The error is ErrNotRunning when nobody is there to ask.
func (c *Client) ask(ctx context.Context, method, path string, question, answer any) error {
	var body io.Reader
	if question != nil {
		b, err := json.Marshal(question)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://gatehouse"+path, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return unreachable(c.path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return refusalIn(resp)
	}
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("%s: answer to %s %s: %w", c.path, method, path, err)
	}
	return nil
}

// unreachable says why nobody answers on a socket.
func unreachable(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: %w", path, ErrNotRunning)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: permission denied: it belongs to the user who runs gatehouse", path)
	}
	return fmt.Errorf("%s: %w", path, errors.Unwrap(err))
}

// refusalIn returns what was said in the place of an answer.
func refusalIn(resp *http.Response) error {
	var r refusal
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxOrder)).Decode(&r); err != nil || r.Error == "" {
		return fmt.Errorf("the answer is %s: is that gatehouse of another version?", resp.Status)
	}
	return errors.New(r.Error)
}
