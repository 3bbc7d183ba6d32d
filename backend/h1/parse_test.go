package h1

import (
	"testing"
)

const browserHead = "GET /assets/app.js?v=12 HTTP/1.1\r\n" +
	"Host: www.example.com\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: */*\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Referer: https://www.example.com/\r\n" +
	"Connection: keep-alive\r\n" +
	"Cookie: SERVERID=A; theme=dark\r\n" +
	"\r\n"

const serverHead = "HTTP/1.1 200 OK\r\n" +
	"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" +
	"Server: Apache/2.4.62 (Debian)\r\n" +
	"Last-Modified: Sat, 05 Nov 1994 08:49:37 GMT\r\n" +
	"ETag: \"400-5f1c2d3e4a5b6\"\r\n" +
	"Accept-Ranges: bytes\r\n" +
	"Content-Length: 1024\r\n" +
	"Keep-Alive: timeout=5, max=100\r\n" +
	"Connection: Keep-Alive\r\n" +
	"\r\n"

func BenchmarkRequest(b *testing.B) {
	head := []byte(browserHead)
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	var r Request
	for b.Loop() {
		if n, err := r.Parse(head, nil); n != len(head) || err != nil {
			b.Fatal(n, err)
		}
	}
}

func BenchmarkResponse(b *testing.B) {
	head, get := []byte(serverHead), []byte("GET")
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	var r Response
	for b.Loop() {
		if n, err := r.Parse(head, get, nil); n != len(head) || err != nil {
			b.Fatal(n, err)
		}
	}
}
