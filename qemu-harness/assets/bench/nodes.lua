-- For wrk: every request is another node's. The first argument says which request.
local what
local counter = 0
local told = 0
local headers = { ["Connection"] = "close" }

function init(args)
   what = args[1]
   -- Threads and runs begin at different nodes.
   math.randomseed(os.time())
   counter = math.random(0, 999)
   told = math.random(1, 1000000000)
end

function request()
   counter = counter % 1000 + 1
   local node = string.format("node%04d", counter)
   if what == "script" then
      local mac = string.format("52:54:00:00:%02x:%02x", math.floor(counter / 256), counter % 256)
      return wrk.format("GET", "/boot.ipxe?mac=" .. mac .. "&uuid=&hostname=" .. node, headers)
   end
   headers["Content-Type"] = "application/x-www-form-urlencoded"
   -- The same form again would be known, and nothing to write.
   told = told + 1
   local key = string.rep("A", 350)
   local body = "pub_key_rsa=ssh-rsa+" .. key .. "&pub_key_ecdsa=ssh-ecdsa+" .. key
      .. "&pub_key_ed25519=ssh-ed25519+" .. key .. "&instance_id=iid-" .. node .. "-" .. told
      .. "&hostname=" .. node .. "&fqdn=" .. node .. ".example.org"
   return wrk.format("POST", "/phone_home/cloudinit", headers, body)
end
