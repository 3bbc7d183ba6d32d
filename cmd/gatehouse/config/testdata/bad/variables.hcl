variable "hosts" {
  type    = list(string)
  default = ["example.com"]
}

variable "port" { defualt = 80 }

frontend "www" {
  bind ":80" {}
  hosts   = var.hosts
  backend = backend.app
}

backend "app" {
  server "a" "10.0.0.1:80" {}
}
