import { Trans, useLingui } from '@lingui/react/macro';
import { Link } from '@tanstack/react-router';
import { Empty } from './parts';

export function NotFound() {
  const { t } = useLingui();
  return (
    <Empty title={t`There is no such page`}>
      <Link to="/incidents">
        <Trans>To the incidents</Trans>
      </Link>
    </Empty>
  );
}
