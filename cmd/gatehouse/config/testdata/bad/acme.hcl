# Certificates from certificate authorities.
tls "a" {
  internal = true
  acme {
    email         = "ops at example.com"
    directory     = "http://ca.example.com/directory"
    trusted_roots = "missing.pem"
    issue         = "later"
    http_port     = 80000
    fallback      = ["https://b.example.com/d", "https://b.example.com/d", "nowhere"]
    eab {
      directory = "https://c.example.com/d"
      key_id    = ""
      hmac      = "*"
    }
    eab {
      key_id = "1"
      hmac   = "AAAA"
    }
    eab {
      key_id = "2"
      hmac   = "AAAA"
    }
  }
}

tls "b" {
  acme {
    dns "exec" {
      command = ["hook"]
      server  = "192.0.2.53"
      timeout = "10ms"
    }
  }
}

tls "c" {
  acme {
    issue    = "on-first-handshake"
    fallback = ["https://b.example.com/d"]
    dns "rfc2136" {
      server        = "name server"
      key_algorithm = "hmac-md5"
      command       = ["/bin/true"]
      resolvers     = ["x:y"]
      propagation   = "-1s"
      delegate      = "a b"
    }
  }
}

tls "d" {
  acme {}
}

tls "e" {
  acme {
    dns "telepathy" {}
  }
}

frontend "nameless" {
  bind ":443" { tls = tls.a }
  backend = backend.farm
}

frontend "wild" {
  hosts = ["*.example.com", "*", "localhost", "good.example.com"]
  bind ":8443" { tls = tls.d }
  backend = backend.farm
}

frontend "others" {
  hosts = ["other.example.com"]
  bind ":8444" { tls = tls.b }
  bind ":8445" { tls = tls.c }
  bind ":8446" { tls = tls.e }
  backend = backend.farm
}

backend "farm" {
  server "a" "10.0.0.1:80" {}
}
