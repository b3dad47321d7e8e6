package slots

import (
	"context"
	"hash/crc32"
	"iter"

	pb "github.com/secretslots/secretslots/gen/go/secretslots/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// EffectiveVersion is a version and the number that it was resolved for.
type EffectiveVersion struct {
	Version
	At uint64
}

// GetSecret asks the server for the current value. NOT_FOUND with reason SECRET_NOT_FOUND or NO_EFFECTIVE_SLOT when
// there is none.
func (c *Client) GetSecret(ctx context.Context, name string) (Version, error) {
	response, err := call(ctx, c, &pb.GetSecretRequest{Name: name}, pb.SecretServiceClient.GetSecret)
	if err != nil {
		return Version{}, err
	}
	return received(response)
}

// GetEffectiveAt asks the server for the value in the enabled slot with the largest number at or below at.
func (c *Client) GetEffectiveAt(ctx context.Context, name string, at uint64) (EffectiveVersion, error) {
	if err := checkNumber("at", at); err != nil {
		return EffectiveVersion{}, err
	}
	return c.effective(ctx, &pb.GetEffectiveAtRequest{Name: name, At: &at})
}

// GetEffectiveNow is GetEffectiveAt at the server's clock in Unix seconds.
func (c *Client) GetEffectiveNow(ctx context.Context, name string) (EffectiveVersion, error) {
	return c.effective(ctx, &pb.GetEffectiveAtRequest{Name: name})
}

func (c *Client) effective(ctx context.Context, request *pb.GetEffectiveAtRequest) (EffectiveVersion, error) {
	response, err := call(ctx, c, request, pb.SecretServiceClient.GetEffectiveAt)
	if err != nil {
		return EffectiveVersion{}, err
	}
	version, err := received(response)
	return EffectiveVersion{version, response.GetAt()}, err
}

// DescribeSecret answers the metadata of one secret.
func (c *Client) DescribeSecret(ctx context.Context, name string) (SecretMetadata, error) {
	response, err := call(ctx, c, &pb.DescribeSecretRequest{Name: name}, pb.SecretServiceClient.DescribeSecret)
	if err != nil {
		return SecretMetadata{}, err
	}
	return secretMetadata(response, response.CurrentSlot, response.GetEpoch()), nil
}

// GetServerInfo describes the server and its store.
func (c *Client) GetServerInfo(ctx context.Context) (ServerInfo, error) {
	response, err := call(ctx, c, &pb.GetServerInfoRequest{}, pb.SecretServiceClient.GetServerInfo)
	if err != nil {
		return ServerInfo{}, err
	}
	limits := response.GetLimits()
	return ServerInfo{
		Version: response.GetVersion(), Epoch: response.GetEpoch(), Revision: response.GetRevision(),
		Features: response.GetFeatures(),
		Limits: Limits{
			limits.GetMaxValueBytes(), limits.GetMaxNameBytes(), limits.GetMaxSlotsPerSecret(),
			limits.GetMaxWatchNames(), limits.GetMaxCommentBytes(), limits.GetMaxLabels(), limits.GetMaxPageSize(),
		},
	}, nil
}

// Page asks for one page of a list: at most Size items (0 means 100, at most 1,000) from Token on.
type Page struct {
	Size  int32
	Token string
}

// SecretPage is one page of ListSecrets. NextToken is empty on the last.
type SecretPage struct {
	Secrets   []SecretMetadata
	NextToken string
}

// SlotPage is one page of ListSlots. NextToken is empty on the last.
type SlotPage struct {
	Slots     []SlotMetadata
	NextToken string
}

// ListSecrets answers one page of the secrets whose names begin with prefix, in byte order.
func (c *Client) ListSecrets(ctx context.Context, prefix string, page Page) (SecretPage, error) {
	request := &pb.ListSecretsRequest{Prefix: prefix, PageSize: page.Size, PageToken: page.Token}
	response, err := call(ctx, c, request, pb.SecretServiceClient.ListSecrets)
	if err != nil {
		return SecretPage{}, err
	}
	result := SecretPage{NextToken: response.GetNextPageToken()}
	for _, secret := range response.GetSecrets() {
		result.Secrets = append(result.Secrets, secretMetadata(secret, secret.CurrentSlot, response.GetEpoch()))
	}
	return result, nil
}

// AllSecrets iterates over all pages of ListSecrets and ends after the first error.
func (c *Client) AllSecrets(ctx context.Context, prefix string, pageSize int32) iter.Seq2[SecretMetadata, error] {
	return allPages(func(token string) ([]SecretMetadata, string, error) {
		page, err := c.ListSecrets(ctx, prefix, Page{pageSize, token})
		return page.Secrets, page.NextToken, err
	})
}

// ListSlots answers one page of a secret's slots in rising order, never values.
func (c *Client) ListSlots(ctx context.Context, name string, page Page) (SlotPage, error) {
	request := &pb.ListSlotsRequest{Name: name, PageSize: page.Size, PageToken: page.Token}
	response, err := call(ctx, c, request, pb.SecretServiceClient.ListSlots)
	if err != nil {
		return SlotPage{}, err
	}
	result := SlotPage{NextToken: response.GetNextPageToken()}
	for _, slot := range response.GetSlots() {
		result.Slots = append(result.Slots, slotMetadata(slot))
	}
	return result, nil
}

// AllSlots iterates over all pages of ListSlots and ends after the first error.
func (c *Client) AllSlots(ctx context.Context, name string, pageSize int32) iter.Seq2[SlotMetadata, error] {
	return allPages(func(token string) ([]SlotMetadata, string, error) {
		page, err := c.ListSlots(ctx, name, Page{pageSize, token})
		return page.Slots, page.NextToken, err
	})
}

func allPages[T any](page func(token string) (items []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for token := ""; ; {
			items, next, err := page(token)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			token = next
		}
	}
}

type valueResponse interface {
	GetName() string
	GetSlot() uint64
	GetValue() []byte
	GetCrc32C() uint32
	GetRevision() uint64
	GetEpoch() string
	GetCreateTime() *timestamppb.Timestamp
}

// received checks a value against its CRC32C.
func received(r valueResponse) (Version, error) {
	if crc32.Checksum(r.GetValue(), castagnoli) != r.GetCrc32C() {
		e := newError(codes.DataLoss, ReasonDataLoss, "the value of %s arrived damaged", r.GetName())
		e.Metadata = map[string]string{"name": r.GetName()}
		return Version{}, e
	}
	return Version{
		r.GetName(), r.GetSlot(), Bytes(r.GetValue()), r.GetRevision(), r.GetEpoch(), timeOf(r.GetCreateTime()),
	}, nil
}
