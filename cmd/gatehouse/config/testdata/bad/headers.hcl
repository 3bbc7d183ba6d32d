frontend "www" {
  bind ":80" {}
  backend = backend.app
  request_headers {
    set = {
      "Host"            = "app.internal"
      "X-Forwarded-For" = "{client_ip}"
      "X-Real-IP"       = "{clientip}"
      "Connection"      = "close"
    }
    add    = ["X-A"]
    remove = "X-B"
  }
  response_headers {
    set = {
      "X-Frame-Options" = "DENY"
      x-frame-options   = "SAMEORIGIN"
      "X Frame"         = "a"
      "X-Empty"         = ""
      "X-List"          = ["a", "b\r\nSet-Cookie: c"]
      "X-Map"           = { a = "b" }
      "X-Null"          = null
    }
    remove = ["Con*", "*"]
  }
  route {
    paths   = ["/api/*"]
    backend = backend.app
    request_headers { set = { Host = "api.internal" } }
    response_headers {}
  }
}

backend "app" {
  request_headers {
    set    = { Host = "app.internal", "X-Forwarded-For" = "{client_ip}" }
    remove = ["Expect"]
  }
  response_headers { add = { "Content-Encoding" = "gzip" } }
  server "a" "10.0.0.1:80" {}
}

listen "relay" {
  mode = "tcp"
  bind ":81" {}
  request_headers { set = { "X-A" = "b" } }
  server "b" "10.0.0.2:80" {}
}

listen "both" {
  bind ":82" {}
  request_headers { set = { Host = "b" } }
  response_headers { set = { "X-Server" = "{sever}" } }
  server "b" "10.0.0.2:80" {}
}
