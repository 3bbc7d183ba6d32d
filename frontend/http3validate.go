package frontend

// checkHTTP3 reports an address where HTTP/3 cannot be spoken.
func (b *Bind) checkHTTP3(bad func(field any, problem, remedy string)) {
	if !b.HTTP3 {
		return
	}
	switch a := b.Address; {
	case a.Path != "":
		bad(&b.HTTP3, "http3 on a unix socket", "It runs over UDP. Leave it out, or bind an IP address.")
	case a.FD != "":
		bad(&b.HTTP3, "http3 on an inherited descriptor", "It needs a UDP socket besides, which gatehouse opens itself. Leave it out, or bind an IP address.")
	case b.Redirect != "":
		bad(&b.HTTP3, "http3 where clients are only redirected", "Nobody would come that way. Leave it out.")
	case b.TLS == "":
		bad(&b.HTTP3, "http3 without tls", "There is no HTTP/3 in the clear. Add tls = tls.NAME.")
	case len(b.AcceptProxy) > 0:
		bad(&b.HTTP3, "http3 behind the PROXY protocol", "Nothing in front can say who a client of HTTP/3 is: let it come here directly, or leave http3 out.")
	}
}
