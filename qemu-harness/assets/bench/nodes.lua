-- For wrk: every request is another node's. The first argument says which request; a second one, `close`, that each
-- request has a connection of its own. Requests are put together beforehand: what this script takes, the server lacks.
local requests = {}
local counter = 0
local told
local forms = false

local function script(node, mac, head)
   return "GET /boot.ipxe?mac=" .. mac .. "&uuid=&hostname=" .. node .. " HTTP/1.1\r\n" .. head .. "\r\n"
end

-- In two parts, for a number between them makes each form another one: the same again would be known, and nothing to
-- write.
local function form(node, head)
   local key = string.rep("A", 350)
   local before = "pub_key_rsa=ssh-rsa+" .. key .. "&pub_key_ecdsa=ssh-ecdsa+" .. key
      .. "&pub_key_ed25519=ssh-ed25519+" .. key .. "&instance_id=iid-"
   local after = "&hostname=" .. node .. "&fqdn=" .. node .. ".example.org"
   return "POST /phone_home/cloudinit HTTP/1.1\r\n" .. head
      .. "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: " .. #before + 9 + #after
      .. "\r\n\r\n" .. before, after
end

function init(args)
   forms = args[1] == "form"
   local head = "Host: " .. wrk.host .. "\r\n"
   if args[2] == "close" then
      head = head .. "Connection: close\r\n"
   end
   for n = 1, 1000 do
      local node = string.format("node%04d", n)
      if forms then
         requests[n] = { form(node, head) }
      else
         local mac = string.format("52:54:00:00:%02x:%02x", math.floor(n / 256), n % 256)
         requests[n] = script(node, mac, head)
      end
   end
   math.randomseed(os.time())
   -- Of nine digits, and not those of the run before.
   told = math.random(100000000, 900000000)
end

function request()
   counter = counter % 1000 + 1
   local this = requests[counter]
   if not forms then
      return this
   end
   told = told + 1
   return this[1] .. told .. this[2]
end
