# Inside the builder: writes a LUKS2 header with two key slots into the image $1. UUID $2, keys in folder $3,
# data from sector $4 on. The costs are small: keys of machines are random, and tests wait for them.
set -eu
image=$1 uuid=$2 keys=$3 offset=$4
cryptsetup luksFormat --batch-mode --type luks2 --uuid "$uuid" --offset "$offset" --sector-size 512 \
    --cipher aes-xts-plain64 --key-size 512 --volume-key-file "$keys/volume" --key-file "$keys/argon2id" \
    --pbkdf argon2id --pbkdf-memory 65536 --pbkdf-parallel 2 --pbkdf-force-iterations 4 "$image"
cryptsetup luksAddKey --batch-mode --key-file "$keys/argon2id" \
    --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$image" "$keys/pbkdf2"
cryptsetup luksDump "$image"
for key in argon2id pbkdf2; do
    cryptsetup open --test-passphrase --key-file "$keys/$key" "$image"
done
