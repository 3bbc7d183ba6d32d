//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"sync"
)

// page is a tab with cookies and a cache of its own.
type page struct {
	*browser
	session string

	mu   sync.Mutex // guards got
	got  map[string]received
	urls map[string]string // by request
}

// received is what the browser says of an answer.
type received struct {
	URL      string            `json:"url"`
	Status   int               `json:"status"`
	Protocol string            `json:"protocol"` // "h2", "h3", "http/1.1"
	Headers  map[string]string `json:"headers"`
	Length   float64           `json:"-"` // of what came over the wire, head included, once it has come whole
}

// page opens a tab with nothing in it.
func (b *browser) page() *page {
	b.Helper()
	var made struct{ BrowserContextID, TargetID, SessionID string }
	b.do("", "Target.createBrowserContext", nil, &made)
	b.do("", "Target.createTarget", map[string]any{"url": "about:blank", "browserContextId": made.BrowserContextID}, &made)
	b.do("", "Target.attachToTarget", map[string]any{"targetId": made.TargetID, "flatten": true}, &made)
	p := &page{browser: b, session: made.SessionID, got: map[string]received{}, urls: map[string]string{}}
	b.mu.Lock()
	b.pages[p.session] = p
	b.mu.Unlock()
	b.do(p.session, "Network.enable", map[string]any{"maxPostDataSize": 1}, nil)
	b.do(p.session, "Page.enable", nil, nil)
	return p
}

// event takes what the browser says by itself.
func (p *page) event(method string, params json.RawMessage) {
	var m struct {
		RequestID         string
		Response          received
		EncodedDataLength float64
	}
	if err := json.Unmarshal(params, &m); err != nil {
		return // of another kind
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch method {
	case "Network.responseReceived":
		p.urls[m.RequestID] = m.Response.URL
		p.got[m.Response.URL] = m.Response
	case "Network.loadingFinished":
		if u, ok := p.urls[m.RequestID]; ok {
			r := p.got[u]
			r.Length = m.EncodedDataLength
			p.got[u] = r
		}
	}
}

// answer returns what the browser has last said of a URL, whole once its content has come.
func (p *page) answer(url string) received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got[url]
}

// open goes to a URL and waits until everything on the page is there.
func (p *page) open(url string) {
	p.Helper()
	var went struct{ ErrorText string }
	p.do(p.session, "Page.navigate", map[string]any{"url": url}, &went)
	if went.ErrorText != "" {
		p.Fatalf("%s: %s", url, went.ErrorText)
	}
	p.complete()
}

// complete waits until everything on the page is there.
func (p *page) complete() {
	p.Helper()
	p.run(`if (document.readyState != "complete") await new Promise(done => addEventListener("load", done))`, nil)
}

// fetched returns what a script on the page gets from there.
func (p *page) fetched(path string) (content string) {
	p.Helper()
	p.run(`return (await fetch("`+path+`")).text()`, &content)
	return content
}

// run runs the body of an asynchronous function on the page. What it returns goes to result, unless that is nil.
func (p *page) run(script string, result any) {
	p.Helper()
	p.ran(p.start(script), result)
}

// start begins to run it; ran waits for it.
func (p *page) start(script string) <-chan devtool {
	return p.tell(p.session, "Runtime.evaluate", map[string]any{"expression": "(async () => {" + script + "\n})()", "awaitPromise": true, "returnByValue": true})
}

func (p *page) ran(answer <-chan devtool, result any) {
	p.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	p.result("script", answer, &out)
	if e := out.ExceptionDetails; e != nil {
		p.Fatal(fmt.Sprint(e.Text, " ", e.Exception.Description))
	}
	if result != nil {
		if err := json.Unmarshal(out.Result.Value, result); err != nil {
			p.Fatalf("%s: %v", out.Result.Value, err)
		}
	}
}
